"""Which files of which days are read, and what is a foreign schema."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.errors import ForeignSchema, UsageError
from contract.records import PREDICTION
from contract.storage import open_storage
from jobs.engines.day_files import choose_window, list_day, list_models_in, read_footers
from jobs.engines.question import Slice

DAY = "2026-11-20"
ROW = {"prediction_id": "a", "predicted_at": datetime(2026, 11, 20, tzinfo=UTC), "model": "m", "model_version": "1",
       "predicted_label": "cat", "confidence": 0.5}
NEEDED = pa.table({n: pa.array([v], PREDICTION.arrow().field(n).type) for n, v in ROW.items()})


def put(root, table, name="a.parquet", day=DAY, where="predictions"):
    path = open_storage(root).path(f"{where}/dt={day}/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def footers(root, **options):
    return read_footers(open_storage(root), [list_day(open_storage(root), DAY)], **options)


def changed(name, column):
    kept = NEEDED.drop_columns([name]) if name in NEEDED.column_names else NEEDED
    return kept.append_column(name, column)


def test_every_file_of_a_day_but_hidden_and_deeper_ones(tmp_root, caplog):
    for name in ("b.parquet", "a", "hour=1/c.parquet", "_SUCCESS", ".x.parquet", "_temporary/0/d.parquet"):
        put(tmp_root, NEEDED, name)
    (day,), left_out = footers(tmp_root)
    assert [f.key.split("/", 2)[2] for f in day.predictions] == ["a", "b.parquet"]
    assert [f.rows for f in day.predictions] == [1, 1] and not left_out and day.labels == ()
    assert caplog.messages == [f"not counted: predictions/dt={DAY}/hour=1/c.parquet: files of rows lie in the day's "
                               "folder itself, not below it."]


TAKEN = {
    "dictionary": ("model", pa.array(["m"]).dictionary_encode()),
    "large string": ("predicted_label", pa.array(["cat"], pa.large_string())),
    "whole version": ("model_version", pa.array([7], pa.uint16())),
    "float32": ("confidence", pa.array([0.5], pa.float32())),
    "milliseconds": ("predicted_at", pa.array([1], pa.timestamp("ms"))),
    "nanoseconds": ("predicted_at", pa.array([1], pa.timestamp("ns", "UTC"))),
    "null column": ("role", pa.nulls(1)),
    "unused column of any type": ("bytes", pa.array(["many"])),
}


@pytest.mark.parametrize("case", TAKEN)
def test_taken_as_it_is(tmp_root, case):
    put(tmp_root, changed(*TAKEN[case]))
    (day,), _ = footers(tmp_root)
    assert [f.rows for f in day.predictions] == [1]


FOREIGN = {
    "day as time": ("predicted_at", pa.array([1], pa.date32()), "expected timestamp, got date32"),
    "text as confidence": ("confidence", pa.array(["0.5"]), "expected double, got string"),
    "bytes as text": ("model", pa.array([b"m"]), "expected string, got binary"),
    "real version": ("model_version", pa.array([1.0]), "expected string, got double"),
    "whole confidence": ("confidence", pa.array([1]), "expected double, got int64"),
    "text as list": ("top_labels", pa.array(["cat"]), "expected list<string>, got string"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_schema_names_file_column_and_types(tmp_root, case):
    name, column, message = FOREIGN[case]
    put(tmp_root, changed(name, column))
    with pytest.raises(ForeignSchema, match=f"dt=2026-11-20/a.parquet: column '{name}': {message}"):
        footers(tmp_root)


def test_a_missing_required_column(tmp_root):
    put(tmp_root, NEEDED.drop_columns(["model"]).append_column("Model", pa.array(["m"])))
    with pytest.raises(ForeignSchema, match="column 'model': expected string, got no such column among .*Model"):
        footers(tmp_root)


def test_a_slice_makes_its_column_used(tmp_root):
    put(tmp_root, changed("width", pa.array(["wide"])))
    with pytest.raises(ForeignSchema, match="column 'width': expected int32, got string"):
        footers(tmp_root, slices=[Slice("size", "image_size")])


def test_a_column_that_only_orders_equal_rows_makes_no_file_foreign(tmp_root):
    put(tmp_root, changed("bytes", pa.array(["many"])))
    put(tmp_root, changed("top_probabilities", pa.array([[0.5]])), "b.parquet")
    (day,), _ = footers(tmp_root, slices=(Slice("client", "client"),))
    assert [set(f.columns) - set(ROW) for f in day.predictions] == [set(), {"top_probabilities"}]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all"])
def test_quarantine_leaves_out_what_is_no_parquet(tmp_root, content):
    put(tmp_root, NEEDED)
    bad = put(tmp_root, NEEDED, "bad.parquet")
    bad.write_bytes(content)
    with pytest.raises(ForeignSchema, match=f"bad.parquet: expected a Parquet file, got {len(content)} bytes"):
        footers(tmp_root)
    (day,), left_out = footers(tmp_root, quarantine=True)
    assert [f.key for f in day.predictions] == [f"predictions/dt={DAY}/a.parquet"]
    assert list(left_out) == [f"predictions/dt={DAY}/bad.parquet"] and bad.exists()


def test_columns_that_differ_in_case_only_are_told(tmp_root):
    put(tmp_root, changed("Role", pa.array(["shadow"])))
    (day,), _ = footers(tmp_root)
    assert day.predictions[0].clashing and "role" not in day.predictions[0].columns


def test_default_window_is_the_newest_prediction_days_however_old(tmp_root):
    for n in range(1, 41):
        put(tmp_root, NEEDED, day=f"2019-{1 + n // 28:02}-{1 + n % 28:02}")
    put(tmp_root, NEEDED, day="2027-01-01")
    put(tmp_root, NEEDED, day="2019-02-30")
    found = choose_window(open_storage(tmp_root), None, None, "2026-11-20")
    assert (found.first, found.last, len(found.days)) == ("2019-01-12", "2019-02-13", 30)


def test_a_window_has_both_ends_and_days_that_only_have_labels(tmp_root):
    put(tmp_root, NEEDED, day="2026-11-18")
    put(tmp_root, NEEDED, day="2026-11-19", where="labels")
    put(tmp_root, NEEDED, day="2026-11-20")
    found = choose_window(open_storage(tmp_root), "2026-11-18", "2026-11-20", "2026-11-21")
    assert found.days == ("2026-11-18", "2026-11-19", "2026-11-20")
    with pytest.raises(UsageError, match="ends on or after its first day, got 2026-11-20 to 2026-11-18"):
        choose_window(open_storage(tmp_root), "2026-11-20", "2026-11-18", "2026-11-21")


def test_models_that_have_rows(tmp_root):
    put(tmp_root, changed("model", pa.array(["other"])))
    assert list_models_in(open_storage(tmp_root), ["2026-11-19", DAY]) == ["other"]
