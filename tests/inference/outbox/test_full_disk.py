"""A disk that the outbox filled: it refuses, says so, and once the bucket takes rows again gets its room back by itself."""

import asyncio
import hashlib
import random
import sqlite3
import time

import pytest

from contract import ids
from contract.errors import RootError
from contract.storage import open_root
from inference.outbox.outbox import COMMIT_BYTES, Outbox
from inference.outbox.room import OutboxFull
from inference.outbox.shipper import Shipper
from inference.outbox.tables import Image
from tests.inference.made_pictures import picture
from tests.inference.outbox.disks import mount_disk
from tests.inference.outbox.test_outbox import count_left
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until

MEGABYTE = 1 << 20
LIMIT = 2 << 30
FIVE = 5 * 1000 * 1000


@pytest.fixture
def disk(tmp_path, request):
    """A disk of as many MB as the parameter says."""
    with mount_disk(tmp_path / "disk", request.param) as folder:
        yield folder


def image(n: int, size: int) -> Image:
    data = b"\xff\xd8" + random.Random(n).randbytes(size)
    return Image(hashlib.sha256(data).hexdigest(), "jpg", data)


def fill(box: Outbox, size: int, at_once: int = 1) -> list[str]:
    """Predictions with pictures of that size, all different, so many at once, until the outbox refuses one."""

    async def append() -> list[str]:
        made = [ids.uuid7() for _ in range(at_once)]
        rows = [{"prediction_id": id_, "predicted_at": 1, "model": "m", "model_version": "1"} for id_ in made]
        done = await asyncio.gather(*[box.append_prediction(row, image(random.getrandbits(60), size), "body", {})
                                      for row in rows], return_exceptions=True)
        kept = [id_ for id_, answer in zip(made, done, strict=True) if isinstance(answer, dict)]
        assert all(isinstance(answer, dict | OutboxFull) for answer in done), done
        return kept

    kept: list[str] = []
    while len(more := asyncio.run(append())) == at_once:
        kept += more
    return kept + more + (fill(box, size) if at_once > 1 else [])


def fill_up(box: Outbox, size: int, at_once: int = 1) -> list[str]:
    """The same until nothing is taken any more: a refusal holds until the disk is asked again, and a log may be emptied aside."""
    kept, idle = fill(box, size, at_once), 0
    while idle < 2:
        time.sleep(0.5)
        more = fill(box, size, at_once)
        kept, idle = kept + more, 0 if more else idle + 1
    return kept


class Unwell:
    """A store that refuses until it is well."""

    def __init__(self, storage) -> None:
        self.storage, self.well = storage, False

    def __getattr__(self, name):
        if not self.well and name != "root":
            raise RootError("out of reach")
        return getattr(self.storage, name)


def quiet(*_, **__):
    """Hears nothing."""


@pytest.mark.parametrize(("disk", "size", "at_once"), [
    (40, FIVE, 1), (40, FIVE, 4), (40, 100_000, 1), (40, 100_000, 64), (40, 8_000, 64), (160, FIVE, 8),
    *(pytest.param(*case, marks=pytest.mark.slow("disk")) for case in (
        (900, FIVE, 1), (900, FIVE, 32)))],
    indirect=["disk"])
def test_an_outbox_that_filled_its_disk_ships_all_and_takes_more(disk, tmp_root, size, at_once):
    storage = Unwell(open_root(tmp_root, create=True))
    box = Outbox(disk / "outbox", storage.root, LIMIT)
    made = fill_up(box, size, at_once)
    assert made and box.room.is_short()
    ship = Shipper(box, storage, 900, 64 * MEGABYTE, quiet)
    assert not ship.ship(everything=True)
    assert box.measure_depth().rows == len(made)
    storage.well = True
    rounds = 0
    while box.measure_depth().rows:
        ship.ship(everything=True)
        rounds += 1
        assert rounds < 5
    until(lambda: not box.room.is_short())  # the file is made shorter after the last commit
    assert box.measure_depth().bytes == 0
    again = fill_up(box, size, at_once)
    assert len(again) >= len(made) * 0.8
    assert ship.ship(everything=True)
    box.close()
    assert sorted(row["prediction_id"] for row in table_rows(tmp_root, "predictions")) == sorted(made + again)


@pytest.mark.parametrize("disk", [40], indirect=True)
def test_an_outbox_filled_with_rows_alone_ships_them(disk, tmp_root):
    box = Outbox(disk / "outbox", "file:///r", LIMIT)
    made: list[str] = []

    async def append() -> None:
        rows = [{"prediction_id": ids.uuid7(), "label_id": ids.uuid7(), "note": "x" * 5000} for _ in range(200)]
        await box.append_labels(rows)
        made.extend(row["label_id"] for row in rows)

    with pytest.raises(OutboxFull, match="the disk of the outbox .* is full"):
        while True:
            asyncio.run(append())
    ship = Shipper(box, open_root(tmp_root, create=True), 900, 64 * MEGABYTE, quiet)
    until(lambda: ship.ship(everything=True))
    assert box.measure_depth().rows == 0
    asyncio.run(append())
    box.close()
    assert len(table_rows(tmp_root, "labels")) == len(made) - 200


@pytest.mark.parametrize("disk", [40], indirect=True)
def test_what_was_acknowledged_on_a_disk_that_fills_survives_a_restart(disk, tmp_root):
    box = Outbox(disk / "outbox", "file:///r", LIMIT)
    made = fill(box, FIVE, 4)
    box.close()
    ballast = disk / "another program's"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(bytes(64 * MEGABYTE))
    ballast.unlink()
    again = Outbox(disk / "outbox", "file:///r", LIMIT)
    ship = Shipper(again, open_root(tmp_root, create=True), 900, 64 * MEGABYTE, quiet)
    assert ship.ship(everything=True) and again.measure_depth().rows == 0
    again.close()
    assert sorted(row["prediction_id"] for row in table_rows(tmp_root, "predictions")) == sorted(made)


@pytest.mark.parametrize("disk", [40], indirect=True)
def test_a_service_on_a_full_disk_says_so_and_recovers(disk, tmp_root):
    publish_tiny(tmp_root)
    with serving(tmp_root, disk / "outbox", "serve.ship_seconds=0.5") as client:
        ship = client.service.shipper
        storage, ship.storage = ship.storage, Unwell(ship.storage)
        made = []

        def ask(n: int):
            profile = random.Random(n).randbytes(4_000_000)  # bytes behind the pixels would be stripped
            return client.post("/v1/predictions", content=picture(n, icc_profile=profile), headers=IMAGE)

        while (answer := ask(len(made))).status_code == 200:
            made.append(answer.json()["prediction_id"])
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "outbox_full" and answer.headers["Retry-After"]
        ready = client.get("/health/ready")
        assert ready.status_code == 503 and "the outbox is full" in ready.json()["reasons"]
        ship.storage = storage
        until(lambda: client.get("/health/ready").status_code == 200, 60)
        made.append(ask(1000).json()["prediction_id"])
    assert sorted(row["prediction_id"] for row in table_rows(tmp_root, "predictions")) == sorted(made)


@pytest.fixture
def box(tmp_path):
    made = Outbox(tmp_path / "outbox", "file:///r", LIMIT)
    yield made
    made.close()


def append(box: Outbox, *pictures: Image) -> None:
    for one in pictures:
        row = {"prediction_id": ids.uuid7(), "predicted_at": 1, "model": "m"}
        asyncio.run(box.append_prediction(row, one, "body", {}))


def test_a_commit_forgets_a_few_mib(box, monkeypatch):
    pictures = [image(n, MEGABYTE) for n in range(9)]
    append(box, *pictures)
    dropped, drop = [], box._drop_images
    monkeypatch.setattr(box, "_drop_images", lambda some: (dropped.append(len(some)), drop(some)))
    box.forget_images([one.sha256 for one in pictures])
    assert dropped == [3, 3, 3] and COMMIT_BYTES == 4 * MEGABYTE
    assert box.measure_depth().bytes < 9000


def test_a_picture_for_whose_zeros_there_is_no_room_goes_in_pieces_and_leaves_no_bytes(box, monkeypatch):
    kept, other = image(1, 3 * MEGABYTE), image(2, 1000)
    append(box, kept, other)
    drop, full = box._drop_images, []

    def refuse_once(some):
        if not full:
            full.append(some)
            raise sqlite3.OperationalError("database or disk is full")
        drop(some)

    monkeypatch.setattr(box, "_drop_images", refuse_once)
    box.forget_images([kept.sha256])
    assert full and box.read_image(kept.sha256) is None and box.read_image(other.sha256) == other.data
    until(lambda: count_left(box, kept.data, every=50_000) == 0)
    assert box.measure_depth().bytes < 2000


def test_a_picture_that_was_forgotten_in_part_is_not_shipped_as_zeros(box, tmp_root):
    kept = image(1, 10_000)
    append(box, kept)
    ((row, _),) = box._fetch_all("SELECT rowid, size FROM images")
    box._shrink(lambda: box._overwrite_piece(row, 0, 5000))  # a life that ended there
    assert box.read_image(kept.sha256) is None and box.list_images() == [(kept.sha256, "jpg")]
    storage = open_root(tmp_root, create=True)
    Shipper(box, storage, 900, MEGABYTE, quiet).ship(everything=False)
    assert box.list_images() == [] and list(storage.list("images/")) == []


def test_a_log_that_cannot_be_emptied_ends_no_thread(box):
    class Broken:
        def __init__(self, db) -> None:
            self.db, self.left = db, 2

        def execute(self, text, *values):
            if "checkpoint" in text and self.left:
                self.left -= 1
                raise sqlite3.OperationalError("database or disk is full")
            return self.db.execute(text, *values)

        def __getattr__(self, name):
            return getattr(self.db, name)

    box._commits.db = Broken(box._db)
    box._commits.truncate_log()
    append(box, image(1, 100), image(2, 100), image(3, 100))
    assert box.measure_depth().rows == 3
