"""Blind repeats: review items come to the same person again, later, without the answer, and move no count."""

import io
import re
import shutil
from collections import Counter
from datetime import timedelta
from random import Random

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import clock, ids, layout, samples
from contract.counts import UNNAMED
from contract.documents.repeat import list_pairs, read_repeats
from contract.records import LABEL
from contract.settings import EvaluateSettings, ReviewSettings, ServeSettings, Settings
from contract.storage import open_root
from inference.keys import KeyRing
from inference.labelling import gold, repeats
from inference.labelling.documents import BatchHolder, BatchItem
from inference.labelling.queue import Queue
from inference.labelling.repeats import BlindRepeats
from jobs.count_window import evaluate
from jobs.evaluation_request import request_of
from tests.inference.labelling.test_gold import hash_of, strip
from tests.inference.page_text import fields
from tests.inference.small_service import DAY, MODEL, SmallService, application, publish, serving, ship
from tests.inference.test_pages import browser

ADA, BOB = (BatchHolder(actor=f"{n}-000001", labeler=n) for n in ("ada", "bob"))
AUDITED = "2026-11-19"
A_DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def the_same_dice(monkeypatch):
    for module in (gold, repeats):
        monkeypatch.setattr(module, "RANDOM", Random(7))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A root with a version and the predictions of two days, to be copied; and their ids."""
    folder = tmp_path_factory.mktemp("repeats")
    made = open_root(str(folder / "root"), create=True)
    publish(made, folder)
    return folder / "root", ship(made, 24), ship(made, 30, day=AUDITED, writer="a")


@pytest.fixture
def storage(shipped, tmp_root):
    shutil.copytree(shipped[0], tmp_root)
    return open_root(tmp_root)


@pytest.fixture
def go_on(monkeypatch):
    """Moves the clock."""
    at = [clock.now_us()]
    monkeypatch.setattr(clock, "now_us", lambda: at[0])

    def move(by: timedelta) -> None:
        at[0] += round(by.total_seconds() * 1e6)

    return move


def open_queue(storage, kind, share=1.0, delay=A_DAY, day=None, p=1.0):
    day = day or (DAY if kind == "review" else AUDITED)
    sample = samples.read(storage, MODEL, day, kind)
    if sample is None:
        sample = samples.draw(MODEL, day, kind, samples.Design("random-audit", f"{kind} {day}", p=p))
        samples.write(storage, sample)
    return Queue(storage, sample, None, BlindRepeats(storage, MODEL, share, delay))


def review(storage, holder=ADA, say=None, share=1.0, size=10):
    q = open_queue(storage, "review", share)
    n, batch = q.hand_out(holder, size)
    q.save_answers(n, {i.prediction_id: say or batch.predicted for i in batch.items})
    return n, batch, q


def audit(storage, holder=ADA, say="eel", size=30, **options):
    q = open_queue(storage, "audit", **options)
    found = q.hand_out(holder, size)
    if found is None:
        return [], q
    n, batch = found
    q.save_answers(n, {i.prediction_id: say for i in batch.items})
    return [i for i in batch.items if i.repeat], q


def test_what_a_person_reviewed_comes_back_to_that_person_alone_and_no_sooner_than_the_delay(storage, go_on):
    _, reviewed, _ = review(storage)
    assert audit(storage, size=3)[0] == []
    go_on(A_DAY - timedelta(seconds=1))
    assert audit(storage, size=3)[0] == []
    go_on(timedelta(seconds=1))
    assert audit(storage, BOB, size=8)[0] == []
    back, _ = audit(storage, size=20)
    assert len(back) >= 2 and {i.repeat for i in back} <= {i.prediction_id for i in reviewed.items}
    assert all(ids.day_of(i.prediction_id) == AUDITED and i.p is None for i in back)
    found = [r for r in read_repeats(storage, MODEL) if r.blind_at]
    assert {(r.labeler, r.seen, r.blind, r.predicted, r.day) for r in found} == {
        ("ada", reviewed.predicted, "eel", reviewed.predicted, DAY)}
    assert len(list(list_pairs(found))) == len(back) == len(found)


def test_each_comes_once_and_every_replica_chooses_the_same(storage, go_on):
    chosen = []
    for share in (0.5, 0.5, 0.1, 0.0):
        q = open_queue(storage, "review", share)
        batch = q._make_batch(ADA, q.list_waiting(ADA))
        chosen.append({i.prediction_id for i in batch.items if q._repeats._is_chosen(q.sample, ADA, i)})
    assert chosen[0] == chosen[1] > chosen[2] > chosen[3] == set() and 6 <= len(chosen[0]) <= 18
    review(storage, size=24)
    go_on(A_DAY)
    times = Counter(i.repeat for _ in range(8) for i in audit(storage, size=5)[0])
    assert len(times) >= 4 and set(times.values()) == {1}


def test_about_five_in_a_hundred_are_chosen_whoever_it_is(storage):
    q = open_queue(storage, "review", ReviewSettings().blind_share)
    noon = clock.parse_moment(f"{DAY}T12:00:00Z")  # ids that are the same in every run: so is what is chosen
    items = [BatchItem(prediction_id=ids.uuid7(noon, n.to_bytes(10, "big")), image="0" * 64) for n in range(4000)]
    chosen = [{i.prediction_id for i in items if q._repeats._is_chosen(q.sample, who, i)} for who in (ADA, BOB)]
    assert all(150 <= len(of) <= 250 for of in chosen) and len(chosen[0] & chosen[1]) < 30


@pytest.mark.parametrize("why", ["erased", "expired", "audited", "taken back", "share of 0", "a naming batch", "switched off",
                                 "nothing"])
def test_what_does_not_come_back(storage, go_on, why):
    share = 0.0 if why == "share of 0" else 1.0
    n, batch, q = review(storage, share=share, say=UNNAMED if why == "a naming batch" else None)
    if why == "erased":
        [storage.put(layout.erasure(hash_of(i)), b"{}") for i in range(24)]
    elif why == "expired":
        [storage.delete(layout.image(hash_of(i), "png")) for i in range(24)]
    elif why == "audited":
        open_queue(storage, "audit", day=DAY)
    elif why == "taken back":
        q.save_answers(n, {}, withdrawn=[i.prediction_id for i in batch.items])
    elif why == "a naming batch":
        review(storage, BOB, say="fox")
    go_on(A_DAY)
    q = open_queue(storage, "audit", 0.0 if why == "switched off" else 1.0)
    who = BOB if why == "a naming batch" else ADA
    assert bool(list(q._repeats._list_due(who, q.sample))) == (why == "nothing")


def test_a_correction_counts_until_the_blind_answer_and_not_after_it(storage, go_on):
    n, batch, q = review(storage)
    q.save_answers(n, {i.prediction_id: "cat" for i in batch.items})
    go_on(A_DAY)
    back, _ = audit(storage, size=6)
    assert 0 < len(back) < 6
    q.save_answers(n, {i.prediction_id: "dog" for i in batch.items})
    said = {r.prediction_id: (r.seen, r.blind) for r in read_repeats(storage, MODEL)}
    assert set(said.values()) == {("cat", "eel"), ("dog", None)} and {said[i.repeat] for i in back} == {("cat", "eel")}


def test_a_blind_answer_can_be_taken_back_skipped_and_left_untold(storage, go_on):
    review(storage)
    go_on(A_DAY)
    q = open_queue(storage, "audit")
    n, batch = q.hand_out(ADA, 24)
    first, second, third = [i for i in batch.items if i.repeat][:3]
    q.save_answers(n, {first.prediction_id: "eel", second.prediction_id: None, third.prediction_id: None},
                   skipped=[third.prediction_id])
    q.save_answers(n, {}, withdrawn=[first.prediction_id])
    state = {r.prediction_id: (r.blind, r.blind_at is None) for r in read_repeats(storage, MODEL)}
    assert [state[i.repeat] for i in (first, second, third)] == [(None, True), (None, False), (None, True)]
    q.save_answers(n, {first.prediction_id: "fox"})
    assert {r.blind for r in read_repeats(storage, MODEL) if r.prediction_id == first.repeat} == {"fox"}


def test_what_was_known_at_a_moment_is_read_as_it_was(storage, go_on):
    review(storage)
    before = clock.iso(clock.now())
    go_on(A_DAY)
    audit(storage, size=30)
    assert any(r.blind for r in read_repeats(storage, MODEL))
    assert {r.blind for r in read_repeats(storage, MODEL, until=before)} == {None}
    assert read_repeats(storage, MODEL, until="2020-01-01T00:00:00.000000Z") == []
    assert len(read_repeats(storage, MODEL, days=(DAY, DAY))) == len(read_repeats(storage, MODEL)) > 0
    assert read_repeats(storage, MODEL, days=("2026-11-21", "2026-11-30")) == []


def test_a_damaged_repeat_stops_nobody(storage, go_on):
    n, batch, q = review(storage)
    for entry in list(storage.list(layout.repeats(MODEL))):
        storage.put(entry.key, b"{")
    q.save_answers(n, {i.prediction_id: "cat" for i in batch.items})
    go_on(A_DAY)
    assert audit(storage)[0] == [] and q.find_answers(n) == {i.prediction_id: "cat" for i in batch.items}


# -- over HTTP ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def service(shipped, storage, tmp_root, monkeypatch):
    """All review items are repeated: the names of keys are random, and so would be what is chosen."""
    monkeypatch.setattr(BlindRepeats, "_is_chosen", lambda *_: True)
    made = SmallService(tmp_root)
    made.settings = Settings(review=ReviewSettings(gold_share=0, blind_share=0.05), serve=ServeSettings(label_days=36_500))
    made.reviewed, made.audited = shipped[1:]
    for kind, day in (("review", DAY), ("audit", AUDITED)):
        samples.write(made.storage, samples.draw(MODEL, day, kind, samples.Design("random-audit", kind, p=1.0)))
    return made


def put_labels(service):
    """Writes the label rows that the service has taken so far to the bucket, and forgets them."""
    for day in (DAY, AUDITED):
        rows = [r for r in service.rows if ids.day_of(r["prediction_id"]) == day]
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, LABEL.arrow()), out)
        service.storage.create(layout.row_file(layout.LABELS, day, "s", clock.now_us(), clock.now_us()), out.getvalue())
    service.rows.clear()


def count(service):
    settings = Settings(root=service.storage.root, model=MODEL, evaluate=EvaluateSettings(days=1, evidence=["anchoring"]))
    document = evaluate(service.storage, request_of(settings, None, (), "live", None, ()))[0]
    return {name: document[name] for name in ("rows", "versions", "labelers", "alpha")}, document["evidence"]["anchoring"]


def test_over_http_a_repeat_comes_blind_to_the_same_person_and_later_and_no_count_moves(service, go_on):
    ring = KeyRing(service.storage)
    heads = {who: {"Authorization": f"Bearer {ring.add(who, ['label'])}"} for who in ("ada", "bob")}
    with (serving(application(service, ring)) as address, httpx.Client(base_url=address, headers=heads["ada"]) as ada,
          httpx.Client(base_url=address, headers=heads["bob"]) as bob):
        grid = ada.get("/review?format=json&size=6").json()
        right = [{"prediction_id": i["prediction_id"], "label": grid["predicted"]} for i in grid["items"]]
        assert ada.post("/review", json={"day": DAY, "batch": grid["batch"], "answers": right}).json() == {"accepted": 6}
        seen_rows = list(service.rows)
        early = ada.get("/audit?format=json&size=4").json()
        assert {i["prediction_id"] for i in early["items"]} <= set(service.audited)
        ada.post("/audit", json={"day": AUDITED, "batch": early["batch"],
                                 "answers": [{"prediction_id": i["prediction_id"], "label": "cat"} for i in early["items"]]})
        go_on(A_DAY)
        theirs = bob.get("/audit?format=json&size=4").json()
        assert {i["prediction_id"] for i in theirs["items"]} <= set(service.audited)
        late = ada.get("/audit?format=json&size=20")
        batch, service.rows = late.json(), []
        again = [i for i in batch["items"] if i["prediction_id"] not in service.audited]
        reviewed = {i["image"] for i in grid["items"]}
        assert again and {i["image"] for i in again} <= reviewed
        assert {tuple(i) for i in batch["items"]} == {("prediction_id", "image")}
        assert "predicted" not in batch and "repeat" not in late.text and not any(i in late.text for i in service.reviewed)
        other = "dog" if grid["predicted"] == "cat" else "cat"
        answers = [{"prediction_id": i["prediction_id"], "label": other} for i in batch["items"]]
        done = ada.post("/audit", json={"day": AUDITED, "batch": batch["batch"], "answers": answers})
        assert done.json() == {"accepted": len(answers)}  # as of any other audit
    assert {r["prediction_id"] for r in service.rows} == {i["prediction_id"] for i in batch["items"]} & set(service.audited)
    found = [r for r in read_repeats(service.storage, MODEL) if r.blind]
    assert len(found) == len(again) and {(r.seen, r.blind) for r in found} == {(grid["predicted"], other)}
    audit_rows, service.rows = service.rows, seen_rows
    put_labels(service)
    counted, anchoring = count(service)
    assert [r for r in audit_rows if ids.day_of(r["prediction_id"]) == DAY] == []
    [mine] = [who for who in counted["labelers"] if who["labeler"].startswith("ada")]
    assert (mine["votes"], mine["pairs"], counted["rows"]["superseded"]) == (6, 0, 0)
    [version] = counted["versions"].values()
    assert (version["labelled"], list(version["by_origin"])) == (6, ["review"])
    assert (anchoring["pairs"], anchoring["only_seen"], anchoring["waiting"]) == (len(again), len(again), 6 - len(again))


def test_the_audit_page_shows_no_difference(service, go_on):
    pages, hidden = [], set()
    with browser(service) as client:
        client.post("/login", data={"name": "ada", "next": "/me"})
        grid = client.get("/review", headers={"Accept": "application/json"}).json()
        client.post("/review", json={"day": DAY, "batch": grid["batch"], "answers": [
            {"prediction_id": i["prediction_id"], "label": grid["predicted"]} for i in grid["items"]]})
        go_on(A_DAY)
        for _ in range(10):
            page = client.get("/audit")
            form = fields(page)
            if form["prediction_id"] not in service.audited:
                hidden.add(form["prediction_id"])
            pages.append(strip(page.text))
            client.post("/audit", data=form | {"label": "cat"})
    assert hidden and len(set(pages)) == 1 and re.search(r">0 of 30 answered", pages[0])
    assert sum(1 for r in read_repeats(service.storage, MODEL) if r.blind == "cat") == len(hidden)
