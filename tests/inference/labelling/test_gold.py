"""Gold items among what people are asked: unseen, once each, and in no figure of the sample."""

import hashlib
import io
import json
import re
from collections import Counter
from datetime import timedelta
from random import Random

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import clock, ids, layout, samples
from contract.counts import UNNAMED
from contract.documents.gold import GoldAnswer, add_gold, read_gold, take_back
from contract.errors import Mismatch
from contract.records import LABEL
from contract.settings import ReviewSettings, ServeSettings, Settings
from contract.storage import open_root
from inference.keys import KeyRing
from inference.labelling import gold
from inference.labelling.documents import BatchHolder, BatchItem
from inference.labelling.gold import GoldItems, mix
from inference.labelling.queue import Queue
from jobs import gold as jobs_gold
from tests.inference.labelling.test_audit_loop import audit
from tests.inference.labelling.test_queue import answer
from tests.inference.made_pictures import picture as jpeg
from tests.inference.page_text import fields
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, table_rows, until
from tests.inference.serving import serving as real_service
from tests.inference.small_service import (
    CLASSES,
    DAY,
    MODEL,
    SmallService,
    application,
    picture,
    publish,
    serving,
    ship,
)
from tests.inference.test_pages import browser

ADA, BOB = (BatchHolder(actor=f"{n}-000001", labeler=n) for n in ("ada", "bob"))
EARLIER = "2026-11-10"
ALWAYS = timedelta(days=36_500)


@pytest.fixture
def storage(tmp_root):
    return open_root(tmp_root, create=True)


@pytest.fixture(autouse=True)
def the_same_dice(monkeypatch):
    monkeypatch.setattr(gold, "RANDOM", Random(7))


def make_gold(storage, n=8, day=EARLIER, writer="g"):
    """n gold items of a day, whose predicted labels go round the classes; their prediction ids."""
    made = ship(storage, n, day=day, writer=writer)
    for i, prediction_id in enumerate(made):
        declare(storage, prediction_id, i)
    return made


def declare(storage, prediction_id, i=0, label="eel"):
    """The i-th prediction of a `ship` becomes a gold item."""
    answer = GoldAnswer(model=MODEL, prediction_id=prediction_id, label=label, predicted=CLASSES[i % len(CLASSES)], bin=17,
                        image_sha256=hash_of(i), at="2026-11-20T00:00:00.000000Z", by="ann")
    assert add_gold(storage, answer)


def hash_of(i):
    return hashlib.sha256(picture(i)).hexdigest()


def queue(storage, kind="audit", share=0.5, oldest=ALWAYS, day=DAY, **design):
    sample = samples.read(storage, MODEL, day, kind)
    if sample is None:
        sample = samples.draw(MODEL, day, kind, samples.Design("random-audit", "salt", p=design.pop("p", 1.0), **design))
        samples.write(storage, sample)
    return Queue(storage, sample, GoldItems(storage, MODEL, share, oldest))


def gold_of(batch):
    return [i.gold for i in batch.items if i.gold]


def put_label(storage, prediction_id, labeler):
    row = dict.fromkeys(LABEL.names) | {"prediction_id": prediction_id, "labeler": labeler, "label": "cat"}
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row], LABEL.arrow()), out)
    day = ids.day_of(prediction_id)
    storage.create(layout.row_file(layout.LABELS, day, f"l{labeler}", 1, 1), out.getvalue())


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_gold_items_lie_anywhere_and_are_as_many_as_the_share_says(share):
    places, batches = Counter(), 2000
    for _ in range(batches):
        others = [BatchItem(prediction_id=str(i)) for i in range(10)]
        made = mix(others, 10, share, iter([BatchItem(prediction_id="g", gold="g")] * 10))
        kept = [item for item in made if not item.gold]
        assert len(made) == 10 and kept == others[:len(kept)]
        places.update(i for i, item in enumerate(made) if item.gold)
    assert all(abs(places[i] / batches - share) < 4 * (share * (1 - share) / batches) ** 0.5 for i in range(10))


def test_a_short_batch_may_end_with_a_gold_item_and_no_batch_is_made_of_them_alone():
    made = [mix([BatchItem(prediction_id="a")], 10, 0.5, iter([BatchItem(prediction_id="g", gold="g")] * 9)) for _ in range(200)]
    assert {bool(items[-1].gold) for items in made} == {True, False}


def test_nothing_is_handed_out_when_only_gold_items_are_left(storage):
    ship(storage, 4)
    make_gold(storage)
    q = queue(storage)
    answer(q, ADA)
    assert q.hand_out(ADA, 10) is None


def test_an_answer_to_a_gold_item_is_no_answer_of_the_sample(storage):
    """Nor does it count as wanted opinion, as progress, or as an audit's vote."""
    drawn, known = ship(storage, 12), make_gold(storage)
    q = queue(storage)
    n, batch = q.hand_out(ADA, 12)
    others = [i.prediction_id for i in batch.items if not i.gold]
    assert len(gold_of(batch)) >= 3 and set(gold_of(batch)) <= set(known) and set(others) <= set(drawn)
    groups = q.group_judgements(n, {i.prediction_id: "cat" for i in batch.items})
    assert {(g.p, g.strategy, g.origin): len(g.judgements) for g in groups} == {
        (1.0, "random-audit", "audit"): len(others), (None, "gold", "review"): len(gold_of(batch))}
    assert {j["prediction_id"] for g in groups if g.strategy == "gold" for j in g.judgements} == set(gold_of(batch))
    q.save_answers(n, {i.prediction_id: "cat" for i in batch.items})
    assert q.count_progress() == {"asked": 12, "answered": len(others), "waiting": 12 - len(others)}
    assert q.count_progress(without=n)["answered"] == 0


def test_nobody_is_asked_twice_about_a_gold_item_on_any_page(storage):
    known = make_gold(storage, 4)
    days = ("2026-11-18", "2026-11-19", DAY)
    for n, day in enumerate(days):
        ship(storage, 12, day=day, writer=f"d{n}")
    ada = [i for day in days for i in gold_of(answer(queue(storage, day=day), ADA))]
    assert sorted(ada) == sorted(known)
    ship(storage, 12, day="2026-11-17", writer="b")
    assert set(gold_of(answer(queue(storage, day="2026-11-17"), BOB))) == set(known)


@pytest.mark.parametrize("why", ["removed", "erased", "too old", "labelled", "share of 0", "drawn by a review", "nothing"])
def test_what_is_no_gold_item_for_this_person(storage, why):
    ship(storage, 12)
    [known] = make_gold(storage, 1)
    oldest, share = ALWAYS, 0.5
    if why == "removed":
        take_back(storage, MODEL, known, "ann")
    elif why == "erased":
        storage.put(layout.erasure(hash_of(0)), b"{}")
    elif why == "too old":
        oldest = clock.now() - ids.moment_of(known)
    elif why == "labelled":
        put_label(storage, known, "ada")
    elif why == "share of 0":
        share = 0
    elif why == "drawn by a review":
        queue(storage, "review", day=EARLIER)
    q = queue(storage, share=share, oldest=oldest)
    batch = answer(q, ADA)
    assert gold_of(batch) == ([known] if why == "nothing" else [])


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"label": 1}'])
def test_a_damaged_gold_item_stops_nobody(storage, data):
    ship(storage, 12)
    damaged, good = make_gold(storage, 2)
    storage.put(layout.gold(MODEL, "known", damaged, "2"), data)
    storage.put(layout.gold(MODEL, "known", good, "notes"), b"of somebody else")
    assert gold_of(answer(queue(storage), ADA)) == [good]
    with pytest.raises(Mismatch, match=f"{damaged}/2.json: expected "):
        read_gold(storage, MODEL)


def test_what_somebody_else_labelled_is_asked(storage):
    ship(storage, 12)
    [known] = make_gold(storage, 1)
    put_label(storage, known, "bob")
    assert gold_of(answer(queue(storage), ADA)) == [known]


def test_what_an_audit_drew_is_asked_by_the_audit_and_measures_as_well(storage):
    """Its weight stays, and the person is not asked a second time."""
    drawn = ship(storage, 12)
    declare(storage, drawn[3], 3)
    q = queue(storage)
    batch = answer(q, ADA)
    assert gold_of(batch) == [] and batch.find_item(drawn[3]).p == 1.0
    [group] = q.group_judgements(1, {drawn[3]: "dog"})
    assert (group.p, group.strategy, group.origin) == (1.0, "random-audit", "audit")
    ship(storage, 12, day="2026-11-19", writer="x")
    assert gold_of(answer(queue(storage, day="2026-11-19"), ADA)) == []


def test_an_audited_gold_item_measures_others_too(storage):
    drawn = ship(storage, 4)
    for i, prediction_id in enumerate(drawn):
        declare(storage, prediction_id, i)
    q = queue(storage, p=0.6)
    asked = {i.prediction_id for i in answer(q, ADA).items if not i.gold}
    assert 0 < len(asked) < 4
    ship(storage, 12, day="2026-11-19", writer="x")
    assert set(gold_of(answer(queue(storage, day="2026-11-19"), BOB))) == set(drawn)


def test_a_review_batch_has_gold_items_of_its_class_which_come_back_for_a_name(storage):
    ship(storage, 40)
    make_gold(storage, 16)
    q = queue(storage, "review")
    n, batch = q.hand_out(ADA, 10)
    predicted = {i: g.predicted for i, g in q._gold.known.items()}
    assert gold_of(batch) and {predicted[i] for i in gold_of(batch)} == {batch.predicted}
    q.save_answers(n, {i.prediction_id: UNNAMED for i in batch.items})
    m, again = q.hand_out(ADA, 10)
    assert again.naming and sorted(i.prediction_id for i in again.items) == sorted(i.prediction_id for i in batch.items)
    assert sorted(gold_of(again)) == sorted(gold_of(batch)) and all(i.p is None for i in again.items if i.gold)
    q.save_answers(m, {i.prediction_id: "newt" for i in again.items})
    left = q.hand_out(ADA, 10)
    assert not left[1].naming and not set(gold_of(left[1])) & set(gold_of(batch))


def test_a_review_leaves_what_an_audit_is_to_ask_blind(storage):
    ship(storage, 40)
    make_gold(storage, 16)
    queue(storage, "audit", day=EARLIER)
    assert gold_of(answer(queue(storage, "review"), ADA)) == []


# -- over HTTP ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_root, tmp_path):
    made = SmallService(tmp_root)
    made.settings = Settings(review=ReviewSettings(gold_share=0.4), serve=ServeSettings(label_days=36_500))
    publish(made.storage, tmp_path)
    made.ids = ship(made.storage, 60)
    made.gold = make_gold(made.storage, 24)
    for kind in samples.KINDS:
        samples.write(made.storage, samples.draw(MODEL, DAY, kind, samples.Design("random-audit", kind, p=0.9)))
    return made


@pytest.mark.parametrize("kind", samples.KINDS)
def test_nothing_tells_a_gold_item_from_the_others(service, kind):
    ring = KeyRing(service.storage)
    head = {"Authorization": f"Bearer {ring.add('ada', ['label'])}"}
    with serving(application(service, ring)) as address, httpx.Client(base_url=address, headers=head) as client:
        shown = client.get(f"/{kind}?format=json&size=14")
        batch = shown.json()
        pictures = [client.get(item["image"]).status_code for item in batch["items"]]
        label = batch.get("predicted", "cat")
        answers = [{"prediction_id": i["prediction_id"], "label": label} for i in batch["items"]]
        done = client.post(f"/{kind}", json={"day": DAY, "batch": batch["batch"], "answers": answers})
    hidden = [i for i in batch["items"] if i["prediction_id"] not in service.ids]
    assert 1 <= len(hidden) < len(batch["items"])
    assert {tuple(item) for item in batch["items"]} == {("prediction_id", "image")}
    assert all(ids.day_of(i["prediction_id"]) == DAY and i["image"].startswith("/images/") for i in batch["items"])
    assert set(pictures) == {200} and "gold" not in shown.text and not any(i in shown.text for i in service.gold)
    assert done.json() == {"accepted": len(answers)}
    rows = [r for r in service.rows if r["strategy"] == "gold"]
    assert len(rows) == len(hidden) and {r["prediction_id"] for r in rows} <= set(service.gold)
    assert {(r["origin"], r["selection_probability"], r["saw_prediction"]) for r in rows} == {("review", None, kind == "review")}
    assert {(r["origin"], r["selection_probability"]) for r in service.rows if r["strategy"] != "gold"} == {(kind, 0.9)}


def test_the_audit_page_shows_no_difference_either(service):
    """Neither in its text nor in the count of answers, which no item of a batch under way moves."""
    pages, gold_ids = [], set()
    with browser(service) as client:
        client.post("/login", data={"name": "ada", "next": "/audit"})
        for _ in range(10):
            page = client.get("/audit")
            form = fields(page)
            if form["prediction_id"] not in service.ids:
                gold_ids.add(form["prediction_id"])
            pages.append(strip(page.text))
            client.post("/audit", data=form | {"label": "cat"})
    assert gold_ids and len(set(pages)) == 1 and re.search(r">0 of \d+ answered", pages[0])
    assert Counter(r["strategy"] for r in service.rows)["gold"] == len(gold_ids)


def strip(text):
    """A page without what differs between any two items: ids, pictures, the order of the classes, the place in the batch, how
    many are left, and what can be taken back."""
    text = re.sub(ids.UUID7, "ID", text)
    text = re.sub(r"/images/[0-9a-f]{64}", "IMAGE", text)
    text = re.sub(r'(<li data-id="ID" data-image="IMAGE"></li>)+', "ITEMS", text)
    text = re.sub(r'name="withdraws" value="(1 ID)?"( disabled)?', "LAST", text)
    text = re.sub(r'<link rel="prefetch"[^>]*>\n?', "", text)
    text = re.sub(r"picture \d+ of", "picture N of", text)
    return re.sub(r"(?s)<fieldset>.*?</fieldset>|<datalist.*?</datalist>", "", text)


def test_from_a_prediction_over_http_to_the_report(tmp_root, tmp_path, capsys):
    publish_tiny(tmp_root)
    ring, day = KeyRing(open_root(tmp_root, create=True)), clock.day_of(clock.now())
    ada = {"Authorization": f"Bearer {ring.add('ada', ['label'])}"}
    camera = {"Authorization": f"Bearer {ring.add('camera', ['predict'])}"}
    samples.write(ring.storage, samples.draw("m", day, "audit", samples.Design("random-audit", "s", p=0.6)))
    with real_service(tmp_root, tmp_path / "outbox", "review.gold_share=0.5", keyring=ring) as client:
        answers = [client.post("/v1/predictions", content=jpeg(i), headers=camera | IMAGE).json() for i in range(16)]
        until(lambda: len(table_rows(tmp_root, "predictions")) == 16)
        known = [a["prediction_id"] for a in answers if not samples.is_asked("s", a["prediction_id"], 0.6)]
        for i in known:
            assert jobs_gold.main(["add", "--root", tmp_root, "--model", "m", "--prediction", i, "--label", "a"]) == 0
        client.headers.update(ada)
        asked = audit(client, "b")
        until(lambda: len(table_rows(tmp_root, "labels")) == len(asked))
    rows = {r["prediction_id"]: r for r in table_rows(tmp_root, "labels") if r["strategy"] == "gold"}
    assert rows and set(rows) <= set(known)
    assert {(r["origin"], r["selection_probability"], r["saw_prediction"]) for r in rows.values()} == {("review", None, False)}
    capsys.readouterr()
    assert jobs_gold.main(["report", "--root", tmp_root, "--model", "m", "--json"]) == 0
    [person] = json.loads(capsys.readouterr().out)["labelers"]
    assert (person["labeler"].startswith("ada-"), person["answered"], person["right"]) == (True, len(rows), 0)
    assert person["confusions"] == [{"said": "b", "known": "a", "count": len(rows)}]
