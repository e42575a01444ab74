"""The labelers' pages, in process: taking back, new classes, keys, what is held, where a key lands, one's own page."""

import html
import re
from urllib.parse import urlencode

import pytest

from contract import clock, ids
from inference.auth import NoAuth
from inference.keys import KeyRing
from inference.pages.audit import choose_keys
from tests.inference.asgi import call, post_form, post_json
from tests.inference.page_text import fields
from tests.inference.small_service import CLASSES, DAY, application, copy_service, make_sampled_root
from tests.inference.test_one_key_one_person import log_in

WHERE = {"model": "digits", "day": DAY}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_sampled_root(tmp_path_factory.mktemp("made"), 14)


@pytest.fixture
def service(made, tmp_root):
    return copy_service(made, tmp_root)


@pytest.fixture
def app(service):
    """The site without keys: everybody here is the visitor of one cookie."""
    return application(service, NoAuth())


ADA = {"Cookie": "trueup_name=ada", "Accept": "text/html"}


def read(app, target, headers=ADA):
    """The page at an address, after what it leads to."""
    answer = call(app, "GET", target, headers)
    while answer.status == 303:
        target = answer.headers["location"][0]
        answer = call(app, "GET", target, headers)
    assert answer.status == 200, answer.text
    return answer.text


def send(app, path, fields):
    """What a form leads to."""
    answer = post_form(app, path, urlencode(fields), Cookie=ADA["Cookie"])
    return answer.text if answer.status == 200 else read(app, answer.headers["location"][0])


def value_of(page, name):
    return html.unescape(re.search(rf'name="{name}" value="([^"]*)"', page)[1])


def buttons(page):
    return re.findall(r'class="choice" name="label" value="([^"]+)"', page)


def test_an_audit_without_the_script_can_be_taken_back_also_from_the_next_batch(app, service):
    page = read(app, "/audit")
    assert value_of(page, "withdraws") == ""  # nothing was said yet
    order, shown = buttons(page), [fields(page)["prediction_id"]]
    for _ in range(10):
        assert buttons(page) == order  # never another order within a batch
        page = send(app, "/audit", fields(page) | {"label": "cat"})
        shown.append(fields(page)["prediction_id"])
    assert fields(page)["batch"] == "2" and len(service.rows) == 10
    page = send(app, "/audit", WHERE | {"withdraws": value_of(page, "withdraws")})
    assert fields(page)["prediction_id"] == shown[9] and "picture 10 of 10" in page
    last = service.rows[-1]
    assert (last["prediction_id"], last["withdraws"], last["label"], last["origin"], last["saw_prediction"]) == (
        shown[9], True, None, "audit", False)
    page = send(app, "/audit", fields(page) | {"label": "dog"})
    assert fields(page)["prediction_id"] == shown[10] and service.rows[-1]["label"] == "dog"


def test_skipping_and_not_knowing_write_no_label(app, service):
    page = read(app, "/audit")
    first = fields(page)["prediction_id"]
    page = send(app, "/audit", fields(page) | {"skip": "1", "other": "half typed"})
    page = send(app, "/audit", fields(page) | {"unsure": "1"})
    assert "picture 3 of 10" in page and service.rows == []
    assert first not in page.replace(value_of(page, "withdraws"), "")


def test_an_answer_sent_again_keeps_its_label_id_and_counts_once(app, service):
    """The network is lost after the service had the answer: the page sends it again."""
    batch = call(app, "GET", "/audit?format=json", ADA).json()
    one, own = batch["items"][0]["prediction_id"], ids.uuid7()
    said = WHERE | {"batch": batch["batch"], "answers": [{"prediction_id": one, "label": "cat", "label_id": own}]}
    taken = [post_json(app, "/audit", said).json() for _ in range(2)]
    back = WHERE | {"batch": batch["batch"], "answers": [{"prediction_id": one, "withdraws": True}]}
    taken += [post_json(app, "/audit", back).json() for _ in range(2)]
    assert taken == [{"accepted": 1}, {"accepted": 0}, {"accepted": 1}, {"accepted": 0}]
    assert [(r["label"], r["withdraws"]) for r in service.rows] == [("cat", None), (None, True)]
    again = call(app, "GET", "/audit?format=json", ADA).json()
    assert again["classes"] == batch["classes"] and one in {i["prediction_id"] for i in again["items"]}


@pytest.mark.parametrize("path", ["/audit", "/review"])
def test_an_unknown_class_asks_before_it_is_made(app, service, path):
    page = read(app, path)
    form = fields(page)
    form |= {"other": "newt <b>"} if path == "/audit" else {f"class-{form['items'].split()[0]}": "newt <b>"}
    asked = send(app, path, form)
    assert "Make a new class?" in asked and "newt &lt;b&gt;" in asked and service.rows == []
    page = send(app, path, fields(asked) | {"new": "1"})
    assert "newt <b>" in {r["label"] for r in service.rows}
    if path == "/audit":  # one's own new class is known from then on
        send(app, path, fields(page) | {"other": "newt <b>"})
        assert [r["label"] for r in service.rows] == ["newt <b>"] * 2
    other = read(app, path, {"Cookie": "trueup_name=bob", "Accept": "text/html"})
    assert "newt" not in other  # what others said is not told


def test_a_batch_that_was_submitted_can_be_taken_back_or_opened_again_and_changed(app, service):
    page = read(app, "/review")
    form = fields(page)
    items, predicted = form["items"].split(), form["predicted"]
    after = send(app, "/review", form | {f"ok-{i}": "on" for i in items[1:]})
    assert f"{len(items)} answers kept" in after and "What is this?" in after
    address = html.unescape(re.search(r'id="open-again" href="([^"]+)"', after)[1])
    again = read(app, address)
    assert "your answers from before" in again and fields(again)["items"].split() == items
    assert again.count(" checked>") == len(items) - 1 + 1  # as it was submitted; and the switch of the keys
    send(app, "/review", fields(again) | {f"ok-{i}": "on" for i in items} | {f"unsure-{items[1]}": "on"})
    assert [(r["prediction_id"], r["label"]) for r in service.rows[len(items):]] == [(items[0], predicted)]  # what changed
    after = read(app, "/review")
    assert "What is this?" not in after  # nothing is called wrong any more
    page = send(app, "/review", WHERE | {"withdraws": value_of(after, "withdraws")})
    assert fields(page)["items"].split() == items
    taken_back = service.rows[len(items) + 1:]
    assert {r["prediction_id"] for r in taken_back} == set(items) and all(r["withdraws"] for r in taken_back)
    assert {(r["origin"], r["saw_prediction"]) for r in taken_back} == {("review", True)}


def test_review_shows_a_key_for_each_picture_and_the_confidence_by_choice(app):
    page = read(app, "/review")
    n = len(fields(page)["items"].split())
    assert re.findall(r'data-key="(.)"', page) == list("123456789abcdefghijklmnop"[:n])
    assert page.count("Confidence 85% to 90%") == n and 'id="sure"' in page
    assert "Confidence" not in read(app, "/audit")


@pytest.mark.parametrize("classes, keys", [(list("0123456789"), "typed"), (["cat", "dog"], "numbers"), (list("ab?"), "numbers"),
                                           (["a", "A"], "numbers"), ([str(i) for i in range(12)], "search"), ([], "numbers")])
def test_keys_are_what_the_classes_allow(classes, keys):
    assert choose_keys(classes) == keys


@pytest.mark.parametrize("path", ["/audit", "/review"])
def test_the_page_says_how_long_it_is_held_and_gives_the_rest_back(app, path):
    page = read(app, path)
    until = clock.parse_moment(re.search(r'data-until="([^"]+)"', page)[1])
    assert 25 * 60 < (until - clock.now()).total_seconds() <= 30 * 60 and "Held for you until" in page
    assert f"day <b>{DAY}</b>" in page and "of 14 answered" in page
    left = send(app, path, WHERE | {"release": fields(page)["batch"]})
    assert "My work" in left and "held for you" not in left


ROLES = [(["label"], "/audit", "/audit", "/audit"), (["predict"], None, "/", "/"), (["read"], "/overview", None, "/overview"),
         (["admin"], None, None, "/overview")]


@pytest.mark.parametrize("roles, start, overview, login", ROLES)
def test_every_key_lands_on_its_work(service, roles, start, overview, login):
    """`start`, `overview`: where / and /overview lead, None where they are shown."""
    ring = KeyRing(service.storage, cache_seconds=60)
    app = application(service, ring)
    token = ring.add("somebody", roles)
    session, _ = log_in(app, token)
    session["Accept"] = "text/html"
    for path, expected in (("/", start), ("/overview", overview)):
        answer = call(app, "GET", path, session)
        assert (answer.status, answer.headers.get("location")) == ((303, [expected]) if expected else (200, None)), path
    for where in ({}, {"next": ""}, {"next": "/"}):
        answer = post_form(app, "/login", urlencode({"key": token, **where}))
        assert answer.headers["location"] == [login]
    if roles == ["label"]:
        refused = call(app, "GET", "/models", session)
        assert refused.status == 403 and 'href="/audit"' in refused.text and "role read" in refused.text


def test_logging_out_gives_back_what_another_replica_handed_out(service):
    ring = KeyRing(service.storage, cache_seconds=60)
    session, csrf = log_in(application(service, ring), ring.add("ada", ["label"]))
    session["Accept"] = "text/html"
    held = fields(read(application(service, ring), "/audit", session))
    post_form(application(service, ring), "/logout", f"csrf={csrf}", **session)
    bob, _ = log_in(app := application(service, ring), ring.add("bob", ["label"]))
    given = read(app, "/audit", bob | {"Accept": "text/html"})
    assert fields(given)["prediction_id"] == held["prediction_id"]


def test_ones_own_page_counts_and_tells_nothing_of_others(app):
    page = read(app, "/audit")
    for label in ("cat", "dog"):
        page = send(app, "/audit", fields(page) | {"label": label})
    send(app, "/audit", fields(page) | {"skip": "1"})
    mine = read(app, "/me")
    today = clock.day_of(clock.now())
    row = re.search(rf'<th scope="row">{today}</th>(.*?)</tr>', mine)[1]
    assert re.findall(r"<td>(\d+)</td>", row) == ["2", "0", "1"]
    assert "Audit 11 pictures" in mine and "7 held for you until" in mine and "nobody evaluated this model yet" in mine
    bobs = read(app, "/me", {"Cookie": "trueup_name=bob", "Accept": "text/html"})
    assert "Nothing yet." in bobs and "ada" not in bobs and not any(f">{c}<" in bobs for c in CLASSES)


@pytest.mark.parametrize("pairs, expected", [(40, "75% (60 to 86%)"), (9, "fewer than 10"), (None, "Not known yet")])
def test_agreement_is_with_other_people_and_read_from_the_evaluation(app, monkeypatch, pairs, expected):
    labelers = [{"labeler": "bob", "votes": 99, "agreements": 99, "pairs": 50, "agreeing_pairs": 1, "agreement": {}}]
    if pairs:
        labelers.append({"labeler": "ada", "votes": 60, "agreements": 60, "pairs": pairs, "agreeing_pairs": 30,
                         "agreement": {"value": 0.75, "low": 0.598, "high": 0.858}})
    found = {"labelers": labelers, "window": {"from": "2026-11-01", "to": DAY}}
    monkeypatch.setattr("inference.pages.me.find_newest_readable", lambda *_: "e")
    monkeypatch.setattr("inference.pages.me.read_evaluation", lambda *_: found)
    mine = read(app, "/me")
    assert expected in mine and "bob" not in mine
    if pairs == 40:
        assert "30 of 40 pairs" in mine
