"""The outbox: what was acknowledged is there after a restart, once, and what was forgotten is in no file."""

import asyncio
import hashlib
import os

import pytest

from contract import ids
from contract.errors import UsageError
from inference.outbox.outbox import OtherBody, Outbox
from inference.outbox.room import OutboxFull
from inference.outbox.tables import Image
from tests.inference.serving import until

MEGABYTE = 1 << 20


@pytest.fixture
def outbox(tmp_path):
    box = Outbox(tmp_path / "outbox", "file:///root", MEGABYTE)
    yield box
    box.close()


def prediction(prediction_id: str | None = None, **fields) -> dict:
    return {"prediction_id": prediction_id or ids.uuid7(), "predicted_at": 1, "model": "m", **fields}


def append(box: Outbox, row: dict, body: str = "body", image: Image | None = None, answer: dict | None = None) -> dict:
    return asyncio.run(box.append_prediction(row, image, body, answer or {"for": row["prediction_id"]}, brought=True))


def image(size: int = 100) -> Image:
    data = os.urandom(size)
    return Image(hashlib.sha256(data).hexdigest(), "jpg", data)


def count_left(box: Outbox, data: bytes, every: int = 500) -> int:
    """How many pieces of 500 bytes, each `every` bytes, stand in some file of the outbox."""
    files = [file.read_bytes() for file in box.folder.iterdir()]
    pieces = [data[n:n + 500] for n in range(0, len(data), every)]
    return sum(any(piece in held for held in files) for piece in pieces)


def test_what_was_appended_is_there_after_a_restart_with_its_moment_of_durability(tmp_path):
    box = Outbox(tmp_path, "file:///r", MEGABYTE)
    row, kept = prediction(), image()
    append(box, row, image=kept)
    asyncio.run(box.append_labels([{"prediction_id": row["prediction_id"], "label": "ä"}]))
    writer = box.writer
    box.close()
    again = Outbox(tmp_path, "file:///r", MEGABYTE)
    assert [(w.table, w.rows) for w in again.list_waiting()] == [("labels", 1), ("predictions", 1)]
    assert again.writer == writer and again.read_image(kept.sha256) == kept.data
    cut = again.cut("predictions", ids.day_of(row["prediction_id"]), MEGABYTE)
    (found,) = again.read_rows(cut)
    assert found.pop("recorded_at") > 1_700_000_000_000_000 and found == row
    again.close()


def test_the_same_id_and_body_again_gets_the_first_answer_and_another_body_is_refused(outbox):
    row = prediction()
    first = append(outbox, row, "one", answer={"n": 1})
    assert append(outbox, row, "one", answer={"n": 2}) == first == {"n": 1}
    with pytest.raises(OtherBody, match="answered already, for another image"):
        append(outbox, row, "two")
    assert asyncio.run(outbox.find_answer(row["prediction_id"], "one")) == {"n": 1}
    assert outbox.measure_depth().rows == 1


def test_many_at_once_share_commits_and_none_is_lost(outbox):
    rows = [prediction() for _ in range(300)]
    same = prediction()

    async def together():
        jobs = [outbox.append_prediction(row, None, "b", {"id": row["prediction_id"]}) for row in [*rows, same, same]]
        return await asyncio.gather(*jobs)

    answers = asyncio.run(together())
    assert [a["id"] for a in answers[:300]] == [r["prediction_id"] for r in rows]
    assert outbox.measure_depth().rows == 301


def test_a_cut_is_committed_before_its_upload_and_is_the_same_after_a_restart(tmp_path):
    box = Outbox(tmp_path, "file:///r", MEGABYTE)
    rows = [prediction(note="x" * 500) for _ in range(5)]
    for row in rows:
        append(box, row)
    day = ids.day_of(rows[0]["prediction_id"])
    cut = box.cut("predictions", day, 1500)
    before = box.read_rows(cut)
    box.close()
    again = Outbox(tmp_path, "file:///r", MEGABYTE)
    assert again.list_cuts() == [cut] and again.read_rows(cut) == before and 1 <= cut.count < 5
    rest = again.cut("predictions", day, MEGABYTE)
    assert (rest.first, rest.count) == (cut.last + 1, 5 - cut.count)
    again.close()


def test_days_and_tables_are_cut_apart(outbox):
    old = ids.uuid7(ids.moment_of("01890000-0000-7000-8000-000000000000"))
    for row in (prediction(old), prediction(), prediction(old)):
        append(outbox, row)
    cut = outbox.cut("predictions", ids.day_of(old), MEGABYTE)
    assert [r["prediction_id"] for r in outbox.read_rows(cut)] == [old] and cut.count == 1  # the third was the same id


def test_full_refuses_and_takes_again_once_rows_are_shipped(outbox):
    kept = image(600_000)
    row = prediction()
    append(outbox, row, image=kept)
    with pytest.raises(OutboxFull, match="as fast as they come"):
        append(outbox, prediction(), image=image(600_000))
    outbox.forget_images([kept.sha256])
    outbox.forget_cut(outbox.cut("predictions", ids.day_of(row["prediction_id"]), MEGABYTE))
    append(outbox, prediction(), image=image(600_000))
    assert outbox.measure_depth().rows == 1


def test_a_failing_disk_is_an_outbox_that_is_full_and_forgets_nothing(outbox):
    append(outbox, prediction(), image=image(50_000))
    (pages,) = outbox._db.execute("PRAGMA page_count").fetchone()
    outbox._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(OutboxFull, match="full"):
        append(outbox, prediction(), image=image(300_000))
    outbox._db.execute("PRAGMA max_page_count = 1000000")
    append(outbox, prediction(), image=image(300_000))
    assert outbox.measure_depth().rows == 2


def test_bytes_of_a_forgotten_image_are_in_no_file_of_a_running_outbox(outbox):
    kept = image(50_000)
    append(outbox, prediction(), image=kept)
    assert count_left(outbox, kept.data) > 80  # pages cut some pieces in two
    outbox.forget_images([kept.sha256])
    until(lambda: count_left(outbox, kept.data) == 0)


def test_one_process_and_one_root(tmp_path):
    box = Outbox(tmp_path, "file:///a", MEGABYTE)
    with pytest.raises(UsageError, match="another process has it open"):
        Outbox(tmp_path, "file:///a", MEGABYTE)
    append(box, prediction())
    box.close()
    with pytest.raises(UsageError, match="holds rows of the root 'file:///a'"):
        Outbox(tmp_path, "file:///b", MEGABYTE)
    Outbox(tmp_path, "file:///a", MEGABYTE).close()
