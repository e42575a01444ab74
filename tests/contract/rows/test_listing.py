"""One listing of a day for everybody: what the engines call the inputs of its counts, and what the driver compares."""

import pytest

from contract.counts_store import CountsDocument
from contract.rows.listing import list_day
from contract.storage import open_storage
from jobs.engines import day_files
from pipeline.running.emr import measure_uncounted

DAY = "2026-11-20"
NOT_ROWS = ("predictions/dt=2026-11-20/_tmp/a.parquet", "predictions/dt=2026-11-20/deeper/a.parquet",
            "predictions/dt=2026-11-20/.hidden", "labels/dt=2026-11-20/_SUCCESS", "labels/dt=2026-11-21/a.parquet")


@pytest.fixture(params=["folder", "s3"])
def store(request):
    """A store of each kind with rows of a day in both tables, and much beside them that is no row."""
    made = open_storage(request.getfixturevalue("tmp_root" if request.param == "folder" else "s3_root"))
    for key in ("predictions/dt=2026-11-20/b-2.parquet", "predictions/dt=2026-11-20/a-1.parquet",
                "labels/dt=2026-11-20/z.parquet", *NOT_ROWS):
        made.put(key, b"of the day")
    return made


def test_the_engines_and_the_driver_name_a_day_alike(store):
    listing = list_day(store, DAY)
    assert listing.fingerprint() == day_files.list_day(store, DAY).fingerprint()
    assert [key for key, _, _ in listing.fingerprint()] == [
        "labels/dt=2026-11-20/z.parquet", "predictions/dt=2026-11-20/a-1.parquet", "predictions/dt=2026-11-20/b-2.parquet"]
    assert listing.size == 30


def test_the_driver_finds_what_an_engine_counted(store):
    assert list(measure_uncounted(store, "m", None, None)) == [30]
    files = day_files.list_day(store, DAY).fingerprint()
    document = CountsDocument(model="m", day=DAY, role="live", inputs="0" * 16, known_through=1, next_future=None, rows={},
                              files=files, tables={})
    store.create(f"{document.folder}1.json", document.to_bytes())
    assert list(measure_uncounted(store, "m", None, None)) == []
    store.put("labels/dt=2026-11-20/z2.parquet", b"newer")
    assert list(measure_uncounted(store, "m", None, None)) == [35]


def test_files_below_a_day_are_said_to_be_left_out(store, caplog):
    day_files.list_day(store, DAY)
    assert "not counted: predictions/dt=2026-11-20/deeper/a.parquet" in caplog.text
