"""Rows of a day where a column is one of some values, and what becomes of files that cannot be read."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.errors import ForeignSchema
from contract.rows.reading import read_columns, rows_where
from contract.storage import open_storage

DAY = "2026-11-20"
FOLDER = f"predictions/dt={DAY}/"


def put(store, name, **columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    store.put(FOLDER + name, sink.getvalue())


@pytest.fixture(params=["folder", "s3"])
def store(request):
    made = open_storage(request.getfixturevalue("tmp_root" if request.param == "folder" else "s3_root"))
    put(made, "a.parquet", prediction_id=["p1", "p2", None], model=["m", "m", "n"])
    put(made, "b.parquet", prediction_id=pa.array(["p3", "p1"]).dictionary_encode(), width=[1, 2])
    put(made, "c.parquet", model=["m"])
    put(made, "_hidden.parquet", prediction_id=["p1"])
    put(made, "deeper/d.parquet", prediction_id=["p1"])
    return made


def found(store, values, columns, unreadable=None, column="prediction_id"):
    return list(rows_where(store, "predictions", DAY, column, values, columns, unreadable=unreadable))


def test_rows_come_by_file_with_exactly_the_columns_asked_for(store):
    assert found(store, ["p1", "p9"], ("prediction_id", "model")) == [
        (f"{FOLDER}a.parquet", {"prediction_id": "p1", "model": "m"}),
        (f"{FOLDER}b.parquet", {"prediction_id": "p1", "model": None})]
    assert found(store, {"m"}, ("width",), column="model") == [
        (f"{FOLDER}a.parquet", {"width": None})] * 2 + [(f"{FOLDER}c.parquet", {"width": None})]
    assert found(store, [], ("model",)) == [] and found(store, ["p"], ("model",)) == []


def test_numbers_are_compared_as_text(store):
    put(store, "e.parquet", prediction_id=pa.array([7, 8]))
    assert found(store, ["7"], ("prediction_id",)) == [(f"{FOLDER}e.parquet", {"prediction_id": 7})]


def test_a_file_that_cannot_be_read_is_an_error_or_is_named(store):
    store.put(f"{FOLDER}bad.parquet", b"no Parquet at all")
    with pytest.raises(ForeignSchema, match=r"bad\.parquet: expected a Parquet file of predictions, got: "):
        found(store, ["p1"], ("model",))
    named = []
    assert len(found(store, ["p1"], ("model",), unreadable=named)) == 2
    (line,) = named
    assert line.startswith(f"{FOLDER}bad.parquet (") and line.endswith(")")


def test_an_error_of_the_reader_of_rows_is_its_own(store):
    with pytest.raises(OSError, match="mine"):
        for _ in rows_where(store, "predictions", DAY, "prediction_id", ["p1"], ("model",), unreadable=[]):
            raise OSError("mine")


def test_columns_of_one_file(store):
    assert read_columns(store, f"{FOLDER}a.parquet", ["model", "width"]).column_names == ["model"]
    with pytest.raises(ForeignSchema, match="expected the columns prediction_id, model, prediction_id is missing"):
        read_columns(store, f"{FOLDER}c.parquet", ["prediction_id", "model"], required=["prediction_id", "model"])
