"""Rows and pictures go from the outbox to the bucket once, when they are due, and a store that refuses only delays them."""

import asyncio
import hashlib
import io

import pyarrow.parquet as pq
import pytest

from contract import clock, ids, layout
from contract.errors import RootError
from contract.records import LABEL, PREDICTION
from contract.storage import open_root
from inference.outbox.outbox import Outbox
from inference.outbox.shipper import Shipper, write_parquet
from inference.outbox.tables import Image
from tests.inference.made_pictures import picture
from tests.inference.serving import table_rows

LIMIT = 10 << 20


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_root):
    return tmp_root if request.param == "local" else request.getfixturevalue("s3_root")


@pytest.fixture
def box(tmp_path):
    made = Outbox(tmp_path / "outbox", "file:///root", LIMIT)
    yield made
    made.close()


def shipper(box: Outbox, root: str, seconds: float = 900, size: int = LIMIT, storage=None) -> Shipper:
    made = Shipper(box, storage or open_root(root, create=True), seconds, size, lambda name, **f: made.heard.append((name, f)))
    made.heard = []
    return made


def append(box: Outbox, n: int = 3, at=None) -> list[str]:
    """Rows with pictures; the first two have the same one."""
    made = []
    for k in range(n):
        data = picture(max(k, 1))
        image = Image(hashlib.sha256(data).hexdigest(), "jpg", data)
        made.append(ids.uuid7(at))
        row = {"prediction_id": made[-1], "predicted_at": clock.now_us(), "model": "m", "model_version": "1",
               "predicted_label": "ä", "confidence": 0.1 + 0.2, "top_labels": ["ä"], "top_probabilities": [0.25],
               "image_sha256": image.sha256, "attributes": {"site": "b", "camera": "a"}}
        asyncio.run(box.append_prediction(row, image, "body", {}))
    return made


def test_rows_and_images_land_once_and_the_outbox_is_empty(box, root):
    made = append(box)
    asyncio.run(box.append_labels([{"prediction_id": made[0], "label": None, "withdraws": True, "labeled_at": 5}]))
    ship = shipper(box, root)
    assert ship.ship(everything=True), ship.heard
    rows = table_rows(root, "predictions")
    assert [r["prediction_id"] for r in rows] == made and rows[0]["confidence"] == 0.1 + 0.2
    assert rows[0]["attributes"] == [("camera", "a"), ("site", "b")] and rows[0]["recorded_at"] >= rows[0]["predicted_at"]
    assert table_rows(root, "labels")[0]["withdraws"] is True
    storage = open_root(root)
    assert {hashlib.sha256(storage.read(e.key)).hexdigest() for e in storage.list("images/")} == {
        r["image_sha256"] for r in rows}
    assert box.measure_depth().rows == box.measure_depth().bytes == 0 and box.list_cuts() == []


def test_a_crash_after_the_upload_is_repeated_without_harm(box, root):
    append(box)
    day = box.list_waiting()[0].day
    cut = box.cut("predictions", day, LIMIT)
    key = layout.row_file("predictions", day, box.writer, cut.first, cut.last)
    storage = open_root(root, create=True)
    storage.create(key, write_parquet("predictions", box.read_rows(cut), cut.rows_sha256))
    append(box, 1)
    assert shipper(box, root).ship(everything=True)
    assert len(table_rows(root, "predictions")) == 4 and len(list(storage.list("predictions/"))) == 2


def test_another_file_under_the_name_is_an_error_and_the_rows_stay(box, tmp_root):
    append(box)
    cut = box.cut("predictions", box.list_waiting()[0].day, LIMIT)
    key = layout.row_file("predictions", cut.day, box.writer, cut.first, cut.last)
    open_root(tmp_root, create=True).create(key, write_parquet("predictions", box.read_rows(cut)[:1], "other"))
    ship = shipper(box, tmp_root)
    assert not ship.ship(everything=True) and "Two outboxes must not share" in ship.heard[0][1]["error"]
    assert box.measure_depth().rows == 3


class Refusing:
    """A store that is out of reach."""

    def __getattr__(self, name):
        def refuse(*_):
            raise RootError("out of reach")
        return refuse


def test_a_store_that_refuses_only_delays(box, tmp_root):
    made = append(box)
    ship = shipper(box, tmp_root, storage=Refusing())
    assert not ship.ship(everything=True) and not ship.ship(everything=True) and ship.failures == 2
    assert box.measure_depth().rows == 3 and len(box.list_cuts()) == 1
    assert shipper(box, tmp_root).ship(everything=False)  # a cut is shipped whatever its age
    assert [r["prediction_id"] for r in table_rows(tmp_root, "predictions")] == made


def test_an_erased_image_is_dropped_its_row_is_not(box, tmp_root):
    append(box, 1)
    ((sha256, _),) = box.list_images()
    open_root(tmp_root, create=True).create(layout.erasure(sha256), b"{}")
    assert shipper(box, tmp_root).ship(everything=True)
    assert list(open_root(tmp_root).list("images/")) == [] and len(table_rows(tmp_root, "predictions")) == 1


def test_due_by_age_by_size_soon_after_the_end_of_a_day_and_when_the_clock_was_set_back(box, tmp_root, monkeypatch):
    append(box, 1)
    (waiting,) = box.list_waiting()
    assert not shipper(box, tmp_root)._is_due(waiting)
    assert shipper(box, tmp_root, size=waiting.bytes)._is_due(waiting)
    assert shipper(box, tmp_root, seconds=0)._is_due(waiting)
    now, day_us = clock.now_us(), 24 * 3600 * 1_000_000
    monkeypatch.setattr(clock, "now_us", lambda: now + day_us)
    assert shipper(box, tmp_root, seconds=1e9)._is_due(waiting)
    monkeypatch.setattr(clock, "now_us", lambda: now - day_us)
    assert shipper(box, tmp_root)._is_due(waiting) and not shipper(box, tmp_root, seconds=1e9)._is_due(waiting)


def test_the_same_rows_give_the_same_bytes_with_the_designs_schema(box):
    append(box)
    cut = box.cut("predictions", box.list_waiting()[0].day, LIMIT)
    one, two = (write_parquet("predictions", box.read_rows(cut), cut.rows_sha256) for _ in range(2))
    schema = pq.read_schema(io.BytesIO(one))
    assert one == two and schema.metadata[b"trueup.schema"] == b"1"
    assert schema.remove_metadata() == PREDICTION.arrow().remove_metadata()
    labels = pq.read_schema(io.BytesIO(write_parquet("labels", [], "")))
    assert labels.remove_metadata() == LABEL.arrow().remove_metadata()
