"""One bad file beside good ones is passed over and named; pages and services go on."""

import io
import json
import logging
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import jsonio, layout, samples
from contract.records import PREDICTION
from inference.auth import NoAuth
from inference.labelling.documents import BatchHolder
from inference.labelling.queue import Queue
from tests.inference.asgi import call, post_json
from tests.inference.small_service import DAY, MODEL, application, copy_service, make_sampled_root, publish

ADA, BOB = (BatchHolder(actor=f"{n}-000001", labeler=n) for n in ("ada", "bob"))
FOLDER = layout.sample(MODEL, DAY, "audit")
PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_sampled_root(tmp_path_factory.mktemp("made"), 24)


@pytest.fixture
def service(made, tmp_root):
    return copy_service(made, tmp_root)


def queue(service):
    return Queue(service.storage, samples.read(service.storage, MODEL, DAY, "audit"))


@pytest.mark.parametrize("name, data", [
    (".DS_Store", b"\x00\x00\x00\x01Bud1"), ("sample.json~", b"{"), ("batch-x.json", b"{}"), ("batch-2.json.bak", b"{}"),
    ("answer-1.json", b"{}"), ("batch-2.json", b'{"holder": {"act'), ("batch-2.json", b"\xff\xfe"), ("batch-2.json", b"[]"),
    ("batch-2.json", b""), ("answer-1-1.json", b'{"answers": {"a": NaN'), ("answer-99-1.json", b'{"answers": 1}'),
    ("deep/batch-1.json", b"{"),
    ("batch-\xc2\xb2.json", b"{}"), ("Thumbs.db", b"x")])
def test_what_lies_in_a_sample_and_is_none_of_it_stops_nobody(service, caplog, name, data):
    first = queue(service)
    n, batch = first.hand_out(ADA, 5)
    service.storage.put(FOLDER + name, data)
    with caplog.at_level(logging.WARNING):
        for q in (first, queue(service)):
            again, other = q.hand_out(BOB, 5)
            assert again > n and not {i.prediction_id for i in batch.items} & {i.prediction_id for i in other.items}
            q.save_answers(again, {i.prediction_id: "cat" for i in other.items})
    named = [r.getMessage() for r in caplog.records if r.getMessage().startswith("passed over: ")]
    assert len(named) == 2 and all(service.storage.uri(FOLDER + name) in text for text in named)  # once by each queue
    page = call(application(service, NoAuth()), "GET", "/audit?format=json", {})
    assert page.status == 200 and page.json()["items"]


def test_a_document_that_was_repaired_is_read(service):
    q = queue(service)
    n, _ = q.hand_out(ADA, 5)
    key = f"{FOLDER}batch-{n}.json"
    good = service.storage.read(key)
    service.storage.put(key, good[:50])
    other = queue(service)
    other.refresh()
    assert other.list_batches() == {}
    service.storage.put(key, good)
    other.refresh()
    assert list(other.list_batches()) == [n]


def test_a_file_that_is_no_parquet_hides_no_other(service, caplog):
    service.storage.put(layout.day_folder(layout.PREDICTIONS, DAY) + "theirs.parquet", b"no parquet")
    with caplog.at_level(logging.WARNING):
        assert len(queue(service).list_waiting()) == 24
    assert "theirs.parquet" in str([r.getMessage() for r in caplog.records if "passed over" in r.getMessage()])


@pytest.mark.parametrize("sha256", ["../../keys/x", "/etc/passwd", "a\x00b", "A" * 64, "x" * 400, ""])
def test_a_hash_that_is_none_is_not_looked_up(service, sha256):
    out = io.BytesIO()
    row = dict.fromkeys(PREDICTION.names) | {
        "prediction_id": service.ids[0][:-4] + "ffff", "predicted_label": "cat", "model": MODEL, "confidence": 0.5,
        "image_sha256": sha256, "image_uri": sha256}
    pq.write_table(pa.Table.from_pylist([row], PREDICTION.arrow()), out)
    service.storage.put(layout.row_file(layout.PREDICTIONS, DAY, "foreign", 1, 1), out.getvalue())
    _, batch = queue(service).hand_out(ADA, 100)
    assert len(batch.items) == 24


def test_a_damaged_sample_hides_no_other(service):
    newer = "2026-11-21"
    samples.write(service.storage, samples.draw(MODEL, newer, "audit", samples.Design("random-audit", "salt", p=1.0)))
    key = layout.sample_document(MODEL, newer, "audit")
    for damaged in (service.storage.read(key)[:40], b"\xff", b"[]"):
        service.storage.put(key, damaged)
        app = application(service, NoAuth())
        assert call(app, "GET", "/audit?format=json").json()["day"] == DAY
        page = call(app, "GET", f"/audit?day={newer}", PAGE)
        assert page.status == 409 and "<main" in page.text


@pytest.mark.parametrize("key, data", [
    (layout.history(MODEL).format(1), b'{"at": "2026-11-'), (layout.history(MODEL).format(1), b"\xff"),
    (layout.live(MODEL), b'{"live": Infinity}'), (layout.live(MODEL), b"{")])
def test_a_damaged_history_hides_no_page(service, key, data):
    service.storage.put(key, data)
    app = application(service, NoAuth())
    for path in ("/", "/audit", "/review", "/models", "/reports"):
        page = call(app, "GET", path, PAGE)
        assert page.status in (200, 303) and (page.status == 303 or "<main" in page.text), (path, page.text)


def test_a_damaged_card_hides_no_other_version(service, tmp_path):
    publish(service.storage, tmp_path)
    service.storage.put(layout.card(MODEL, "1"), b'{"model": "dig')
    page = call(application(service, NoAuth()), "GET", "/models", PAGE)
    assert page.status == 200 and "Version 2 is live" in page.text and "card cannot be read" in page.text


def ask_of_model(service, name):
    """Statuses of the pages of a model of that name, and of an answer to its audit."""
    app = application(service, NoAuth())
    pages = [call(app, "GET", f"{path}?model={quote(name)}", PAGE) for path in ("/models", "/reports", "/audit", "/review")]
    assert all("<main" in page.text for page in pages)
    answer = {"model": name, "day": DAY, "batch": 1, "answers": [{"prediction_id": "x", "label": "a"}]}
    return {page.status for page in pages}, post_json(app, "/audit", answer).status


@pytest.mark.parametrize("name", ["x" * 300, "\u00e4" * 100, "..", ".", "\U0001f600" * 30], ids=ascii)
def test_models_that_no_folder_can_be_named_by_are_refused(service, name):
    assert ask_of_model(service, name) == ({422}, 422)


@pytest.mark.parametrize("name", ["../../x", "a\\b"])
def test_models_of_odd_names_are_models_like_others(service, name):
    assert ask_of_model(service, name) == ({200}, 404)


def test_a_label_that_no_page_can_show_is_shown_all_the_same(service):
    made = jsonio.loads(service.storage.read(layout.card(MODEL, "1")))
    made["classes"][0] = "\ud800"
    service.storage.put(layout.card(MODEL, "1"), json.dumps(made).encode())
    assert call(application(service, NoAuth()), "GET", "/models", PAGE).status == 200
