"""The page of labels that are likely wrong: who sees what, where it leads, how it asks people."""

import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from contract import clock, ids, layout
from contract.documents.erasures import Erasure
from contract.documents.erasures import ask as erase
from contract.records import LABEL
from contract.review import listed
from inference.keys import KeyRing
from inference.pictures import suspected
from tests.inference.page_text import words
from tests.inference.pictures.rows import DAYS
from tests.inference.pictures.test_pages import Browser
from tests.inference.small_service import MODEL, picture
from tests.pipeline.roots import put_rows
from tests.suspects import make_suspect, put_suspects

PAGE = "/pictures/suspects"


def sha_of(i):
    """The hash of the second day's picture i (tests/inference/pictures/rows.py)."""
    return hashlib.sha256(picture(100 + i)).hexdigest()


@pytest.fixture(autouse=True)
def looks_each_time(monkeypatch):
    monkeypatch.setattr(suspected, "LOOKED_S", -1.0)


@pytest.fixture
def doubted(service):
    """Three suspects of the second day's predictions, and one that was imported with its folder."""
    found = [make_suspect(sha_of(i), f"given-{i}", i / 100, DAYS[1], service.ids[DAYS[1]][i]) for i in (2, 3, 30)]
    put_suspects(service.storage, MODEL, [*found, make_suspect(sha_of(31), "alone", 0.5, DAYS[1], None, "holdout")])
    return service


def open_browsers(service):
    """As who may read, who may read and label, and who may label."""
    ring = KeyRing(service.storage)
    return [Browser(service, ring, ring.add(name, roles)) for name, roles in (
        ("rita", ["read"]), ("ann", ["read", "label"]), ("lea", ["label"]))]


def answer(service, i, label, at="2026-11-21T09:00:00Z", **more):
    """A label that the suspicion asked for."""
    at = clock.parse_moment(at)
    row = {"label_id": ids.uuid7(at), "prediction_id": service.ids[DAYS[1]][i], "label": label, "labeler": "ann",
           "labeled_at": at, "origin": "feedback", "strategy": "suspects", "saw_prediction": False, **more}
    put_rows(service.storage, LABEL, layout.LABELS, [row], DAYS[1], f"a{row['label_id']}")


def test_where_nobody_looked_the_page_says_how_to_and_nothing_leads_to_it(service):
    browser = Browser(service)
    assert f"trueup labels suspects --model {MODEL}" in words(browser.get(PAGE))
    assert PAGE not in browser.get("/pictures").text


def test_each_is_shown_with_what_the_label_says_what_a_judge_says_and_a_link_to_the_picture(doubted):
    browser = Browser(doubted)
    assert f"{PAGE}?model={MODEL}" in browser.get("/pictures").text
    shown = browser.get(PAGE)
    said = words(shown)
    assert "4 labels of dataset d1 are likely wrong (88 of 90 labels could be judged); nobody judged one since." in said
    assert "Label given-2 2.0% version 1 says &#39;dog&#39; open" in said and said.index("In train") < said.index("In holdout")
    one = f"/pictures/one/{DAYS[1]}/{doubted.ids[DAYS[1]][30]}?model={MODEL}"
    assert f'href="{one}"' in shown.text and f'href="/images/{sha_of(31)}"' in shown.text
    assert browser.get(one).status == 200 and browser.get(f"/pictures/thumbnail/{sha_of(30)}").status == 200


def test_the_role_read_is_needed_to_see_and_to_send(doubted):
    read, _, label = open_browsers(doubted)
    assert (read.get(PAGE).status, label.get(PAGE).status) == (200, 403)
    assert label.post(f"{PAGE}/review", model=MODEL, most=5).status == 403
    assert listed.read(doubted.storage, MODEL, DAYS[1], blind=True) == {}


def test_what_waits_for_a_blind_answer_is_not_told_to_whoever_may_label(doubted):
    read, both, _ = open_browsers(doubted)
    sent = read.post(f"{PAGE}/review", model=MODEL, most=2)
    assert sent.status == 303 and parse_qs(urlsplit(sent.headers["location"][0]).query)["sent"] == ["2"]
    assert set(listed.read(doubted.storage, MODEL, DAYS[1], blind=True)) == {doubted.ids[DAYS[1]][i] for i in (2, 3)}
    hidden = words(both.get(PAGE))
    assert "2 wait for a blind answer" in hidden and "given-30" in hidden and "given-2 " not in hidden
    assert "given-2 " in words(read.get(PAGE)) and "blind answer and" not in words(read.get(PAGE))
    answer(doubted, 2, "dog")
    answer(doubted, 3, "given-3")
    told = words(both.get(PAGE))
    assert "people judged 2 since, and confirmed 1" in told and "given-2 2.0%" in told and "people said dog" in told
    assert "given-3 " not in told and "blind answer and" not in told


def test_a_newer_label_by_somebody_else_ends_no_wait(doubted):
    """The blind question is still asked, so who may answer it is not told what it is about."""
    _, both, _ = open_browsers(doubted)
    both.post(f"{PAGE}/review", model=MODEL, most=1)
    at = clock.parse_moment("2026-11-21T09:00:00Z")
    put_rows(doubted.storage, LABEL, layout.LABELS, [{
        "label_id": ids.uuid7(at), "prediction_id": doubted.ids[DAYS[1]][2], "label": "cat", "labeler": "ben", "labeled_at": at,
        "origin": "import"}], DAYS[1], "newer")
    assert "given-2 " not in words(both.get(PAGE)) and "1 waits for a blind answer and is not shown" in words(both.get(PAGE))


def test_an_answer_that_was_not_blind_or_was_taken_back_ends_no_wait(doubted):
    """As on the page of the prediction, which stays closed to whoever may label."""
    _, both, _ = open_browsers(doubted)
    both.post(f"{PAGE}/review", model=MODEL, most=3)
    answer(doubted, 30, "dog", strategy="picked", saw_prediction=True)
    answer(doubted, 3, "dog")
    answer(doubted, 3, "dog", at="2026-11-21T09:01:00Z", withdraws=True)
    said = words(both.get(PAGE))
    assert "given-3" not in said and "3 wait for a blind answer" in said
    one, labelled = (f"/pictures/one/{DAYS[1]}/{doubted.ids[DAYS[1]][i]}" for i in (30, 2))
    assert both.get(one).status == 403
    assert both.get(labelled).status == 403, "a user's feedback, from before, is no answer to the blind question"
    answer(doubted, 3, "cat", at="2026-11-21T09:02:00Z")
    assert "given-3 " in words(both.get(PAGE))


def test_the_button_sends_each_once_and_says_what_cannot_be_asked(doubted):
    browser = Browser(doubted)
    for new, rest in ((3, 1), (0, 1)):
        sent = parse_qs(urlsplit(browser.post(f"{PAGE}/review", model=MODEL, most=500).headers["location"][0]).query)
        assert (sent["sent"], sent["not_sent"]) == ([str(new)], [str(rest)])
    said = words(browser.get(PAGE, model=MODEL, sent=3, not_sent=1))
    assert "3 sent: people find them at Audit" in said and "About 1 nobody can be asked" in said
    assert "About 12,345 nobody can be asked" in words(browser.get(PAGE, model=MODEL, sent=0, not_sent=12345))
    for most in ("0", "501", "many", ""):
        assert browser.post(f"{PAGE}/review", model=MODEL, most=most).status == 422


def test_who_cannot_be_asked_about_takes_no_place_of_the_next(service):
    """A list that pictures of an imported folder lead: each press of the button would send none of those below."""
    alone = [make_suspect(sha_of(i), f"alone-{i}", 0.001, DAYS[1]) for i in (10, 11, 12)]
    put_suspects(service.storage, MODEL, [*alone, *(make_suspect(sha_of(i), "eel", 0.2, DAYS[1], service.ids[DAYS[1]][i])
                                                   for i in (20, 21))])
    for asked in (20, 21):
        sent = Browser(service).post(f"{PAGE}/review", model=MODEL, most=1).headers["location"][0]
        assert "sent=1&not_sent=3" in sent
        assert service.ids[DAYS[1]][asked] in listed.read(service.storage, MODEL, DAYS[1], blind=True)
    assert len(listed.read(service.storage, MODEL, DAYS[1], blind=True)) == 2


def test_what_was_taken_over_from_another_dataset_is_told_apart(service):
    own = [make_suspect(sha_of(i), "eel", 0.2, DAYS[1], service.ids[DAYS[1]][i]) for i in (20, 21)]
    taken = [one.model_copy(update={"dataset": "d0", "image_sha256": sha_of(n)}) for n, one in enumerate(own)]
    put_suspects(service.storage, MODEL, [*own, taken[0]])
    assert ("2 labels of dataset d1 are likely wrong (88 of 90 labels could be judged); 1 was found in another dataset; "
            "nobody judged one since.") in words(Browser(service).get(PAGE))
    put_suspects(service.storage, MODEL, taken)
    assert ("No label of dataset d1 is likely wrong; 88 of 90 labels could be judged; 2 were found in other datasets; "
            "nobody judged one since.") in words(Browser(service).get(PAGE))


def test_a_list_that_takes_long_to_look_through_is_shown_from_one_look(doubted, monkeypatch):
    """A request gives up after 10 s (STORE_S); a look that is old when it ends would be begun anew by every request."""
    now, looks = [0.0], []

    def read_slowly(*_):
        looks.append(now[0])
        now[0] += 60
        return {}

    monkeypatch.setattr(suspected, "LOOKED_S", 5.0)
    monkeypatch.setattr(suspected.clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(suspected, "read_said", read_slowly)
    found = suspected.Suspected(doubted.storage, doubted.settings)
    for later in (0, 30, 25, 10):
        now[0] += later
        assert found.find(MODEL, hides_waiting=False).total == 4
    assert looks == [0.0, 125.0]


def test_the_grid_of_pictures_reads_no_list(doubted, monkeypatch):
    doubted.storage.put(layout.suspects(MODEL).format(2), b"{")
    read, plain = [], type(doubted.storage).read
    monkeypatch.setattr(type(doubted.storage), "read", lambda self, key: read.append(key) or plain(self, key))
    assert PAGE in Browser(doubted).get("/pictures").text
    assert not [key for key in read if "/suspects/" in key]


def test_an_erased_picture_is_not_listed(doubted):
    sha256 = sha_of(2)
    erase(doubted.storage, Erasure(image_sha256=sha256, at=clock.iso(clock.now()), by="test", asked=sha256))
    said = Browser(doubted).get(PAGE).text
    assert sha256 not in said and "3 labels of dataset d1" in words(Browser(doubted).get(PAGE))
