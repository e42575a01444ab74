"""The embedded engine where its own ways could go wrong; tests/test_engines_agree.py holds it against the oracle."""

import math
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import ids
from contract.counts import TABLES, canonical
from contract.errors import ForeignSchema, Mismatch
from contract.ids import uuid7
from contract.records import LABEL, PREDICTION
from contract.storage import open_storage
from jobs.engines.day_files import list_day, read_footers
from jobs.engines.embedded import engine, sql
from jobs.engines.embedded.sources import Sources
from jobs.engines.question import Question, Slice
from tests.jobs import awkward

DAY, AT = "2026-11-20", datetime(2026, 11, 20, 12, tzinfo=UTC)
QUESTION = Question("m", awkward.AS_OF)


def prediction(id_, **other):
    return {"prediction_id": id_, "predicted_at": AT, "model": "m", "model_version": "1", "predicted_label": "cat",
            "confidence": 0.5, **other}


def label(id_, name="cat", labeler="ann", **other):
    return {"prediction_id": id_, "label": name, "labeler": labeler, "labeled_at": AT + timedelta(hours=1), **other}


def put(root, predictions, labels=(), day=DAY, name="a.parquet", **options):
    for where, rows, record in (("predictions", predictions, PREDICTION), ("labels", labels, LABEL)):
        path = open_storage(root).path(f"{where}/dt={day}/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows), record.arrow()), path, **options)


def count(root, question=QUESTION, day=DAY):
    storage = open_storage(root)
    days, _ = read_footers(storage, [list_day(storage, day)], question.slices)
    return next(engine.count(storage, days, question))


@pytest.mark.parametrize("seed", range(4))
def test_files_read_by_duckdb_and_by_arrow_give_the_same(tmp_path, seed):
    """The names of the first root have characters that DuckDB would read as a pattern, so pyarrow reads them."""
    rows = awkward.rows_of(seed)
    for root in ("arrow", "duckdb"):
        awkward.write(str(tmp_path / root), rows, seed)
    for n, path in enumerate(sorted((tmp_path / "duckdb").rglob("*.parquet"))):
        path.rename(path.with_name(f"{n}.parquet"))
    one, other = (list(engine.count(*awkward.day_files(str(tmp_path / r)), awkward.QUESTION)) for r in ("arrow", "duckdb"))
    assert list(map(awkward.as_python, one)) == list(map(awkward.as_python, other))


@pytest.mark.parametrize("seed", range(4))
def test_ids_that_share_a_hash_are_noticed(tmp_root, monkeypatch, seed):
    awkward.write(tmp_root, awkward.rows_of(seed), seed)
    storage, days = awkward.day_files(tmp_root)
    expected = [awkward.as_python(c) for c in engine.count(storage, days, awkward.QUESTION)]
    monkeypatch.setattr(engine, "HASH", "hash(id) % 7")
    assert [awkward.as_python(c) for c in engine.count(storage, days, awkward.QUESTION)] == expected


def test_confidence_bins_at_every_edge(tmp_root):
    edges = [k / 20 for k in range(21)]
    values = [v for e in edges for v in (math.nextafter(e, -1), e, math.nextafter(e, 2))] + [math.nan, math.inf, None, -0.0]
    put(tmp_root, [prediction(f"p{n}", confidence=v, model_version=str(n)) for n, v in enumerate(values)])
    found = {int(r["model_version"]): r["confidence_bin"] for r in count(tmp_root).tables["cells"].to_pylist()}

    def expected(v):
        return max(k for k in range(20) if k / 20 <= v) if v is not None and 0 <= v <= 1 else None

    assert found == {n: expected(v) for n, v in enumerate(values)}


@pytest.mark.parametrize("row_group", [1, 3, 1000])
def test_nan_does_not_hide_behind_statistics(tmp_root, row_group):
    put(tmp_root, [prediction(f"p{n}", confidence=c) for n, c in enumerate([math.nan, 0.5, 0.9])],
        [label(f"p{n}", selection_probability=p) for n, p in enumerate([math.nan, 0.5, 1.0])], row_group_size=row_group)
    rows = {r["confidence_bin"]: r for r in count(tmp_root).tables["cells"].to_pylist()}
    assert {b: (r["n"], r["n_weighted"], int(r["sum_weight"])) for b, r in rows.items()} == {
        None: (1, 0, 0), 10: (1, 1, 131072), 18: (1, 1, 65536)}


def test_ids_join_by_their_bytes(tmp_root):
    lower = uuid7(AT)
    put(tmp_root, [prediction(lower), prediction(lower.upper()), prediction("order 1")],
        [label(lower.upper(), "dog"), label("ORDER 1"), label("order 1", "eel")])
    counts = count(tmp_root)
    assert counts.rows["vote"] == 2 and counts.rows["orphan"] == 1
    assert [r["label"] for r in counts.tables["cells"].to_pylist()] == [None, "dog", "eel"]


@pytest.mark.parametrize("moment, misfiled", [
    ("2026-11-20T00:00:00", 0), ("2026-11-20T23:59:59.999", 0), ("2026-11-19T23:59:59.999", 1), ("2026-11-21T00:00:00", 1)])
@pytest.mark.parametrize("case", [str.lower, str.upper, str.swapcase, lambda s: s[:9].upper() + s[9:]])
def test_misfiled_by_the_millisecond_in_either_case(tmp_root, moment, misfiled, case):
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    put(tmp_root, [prediction(case(uuid7(at, bytes(range(200, 210)))))])
    rows = count(tmp_root).rows
    assert (rows["misfiled_predictions"], rows["predictions"]) == (misfiled, 1)


@pytest.mark.parametrize("day", ["1970-01-02", "2019-06-30", "2026-11-20", "2038-01-19", "2109-05-15"])
def test_capitals_cannot_deceive_the_comparison_of_bytes(tmp_root, day):
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    names = [uuid7(start + timedelta(hours=h)).upper() for h in range(-24, 500)]
    names += [i[:n] + i[n:].lower() for i in names for n in range(14)]
    put(tmp_root, [prediction(i) for i in names], day=day)
    expected = sum(ids.day_of(i) != day for i in names)
    assert count(tmp_root, Question("m", 2**60), day).rows["misfiled_predictions"] == expected


def test_times_before_1970_round_down(tmp_root):
    early = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    put(tmp_root, [prediction("a", predicted_at=early)], [label("a", labeled_at=early - timedelta(microseconds=1))])
    counts = count(tmp_root, Question("m", 0, slices=(Slice("h", "hour"),)))
    assert [r["days"] for r in counts.tables["delays"].to_pylist()] == [-1]
    assert [r["value"] for r in counts.tables["slices"].to_pylist()] == ["23"]


def test_empty_days(tmp_root):
    put(tmp_root, [])
    assert count(tmp_root).rows["predictions"] == 0
    assert count(tmp_root, day="2026-11-21").tables == {n: r.arrow().empty_table() for n, r in TABLES.items()}


def test_a_file_that_changed_meanwhile_is_a_mismatch(tmp_root):
    put(tmp_root, [prediction("a")])
    storage = open_storage(tmp_root)
    days, _ = read_footers(storage, [list_day(storage, DAY)])
    put(tmp_root, [prediction("a"), prediction("b")])
    with pytest.raises(Mismatch, match="2026-11-20: expected 1 rows by the footers of a.parquet, read 2"):
        list(engine.count(storage, days, QUESTION))


def test_data_that_cannot_be_read_through_names_the_file(tmp_root):
    put(tmp_root, [prediction(f"{n}" * 20) for n in range(50)], compression="snappy")
    path = open_storage(tmp_root).path(f"predictions/dt={DAY}/a.parquet")
    data = bytearray(path.read_bytes())
    data[4:600] = b"\xff" * 596
    path.write_bytes(data)
    with pytest.raises(ForeignSchema, match="dt=2026-11-20/a.parquet: expected a Parquet file that can be read through"):
        count(tmp_root)


@pytest.mark.parametrize("column", ["label", "labeler"])
def test_a_word_that_is_no_text_names_the_file(tmp_root, column):
    put(tmp_root, [prediction("a")], [label("a")])
    path = open_storage(tmp_root).path(f"labels/dt={DAY}/a.parquet")
    broken = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.set_column(table.column_names.index(column), column, broken), path)
    with pytest.raises(ForeignSchema, match="labels/dt=2026-11-20/a.parquet: expected a Parquet file that can be read through"):
        count(tmp_root)


def test_a_file_that_changes_between_its_two_readings_is_a_mismatch(tmp_root, monkeypatch):
    put(tmp_root, [prediction("a"), prediction("b")])
    read = Sources.prediction_words
    monkeypatch.setattr(Sources, "prediction_words", lambda self: {n: c.slice(1) for n, c in read(self).items()})
    with pytest.raises(Mismatch, match="2026-11-20: read 2 rows, then 1 of version. A file changed while it was read"):
        count(tmp_root)


def test_tables_are_canonical_and_from_s3_the_same(s3_root, tmp_root):
    rows = awkward.rows_of(5)
    awkward.write(tmp_root, rows, 5)
    local, bucket = open_storage(tmp_root), open_storage(s3_root)
    for entry in local.list():
        bucket.put(entry.key, local.read(entry.key))
    one, other = (list(engine.count(*awkward.day_files(r), awkward.QUESTION)) for r in (tmp_root, s3_root))
    assert list(map(awkward.as_python, one)) == list(map(awkward.as_python, other))
    assert all(canonical(n, t).equals(t) for c in one for n, t in c.tables.items())


def test_a_text_in_sql_cannot_end_its_literal(tmp_root):
    put(tmp_root, [prediction("a", model="it's", attributes=[("x'y", "1")])])
    question = Question("it's", QUESTION.as_of, slices=(Slice("q'", "attributes.x'y"),))
    counts = count(tmp_root, question)
    assert counts.tables["slices"].to_pylist()[0]["value"] == "1" and sql.literal("it's") == "'it''s'"
