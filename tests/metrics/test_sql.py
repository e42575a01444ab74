"""The published table definitions are those of the records, and the one-liner in them runs."""

import re
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from contract import counts_store, layout
from contract.counts import SLICES
from contract.records import LABEL, PREDICTION
from metrics import tables
from metrics.sql import HEAD, definitions, evaluation_schemas
from metrics.window import WindowCounts
from tests.figures import cell, day, document

PUBLISHED = Path(__file__).parents[2] / "docs/tables.sql"


def test_the_published_definitions_are_those_of_the_records():
    text = definitions()
    assert PUBLISHED.read_text() == text
    names = re.findall(r"CREATE EXTERNAL TABLE trueup_(\w+)", text)
    assert names[:2] == ["predictions", "labels"] and len(names) == 2 + len(evaluation_schemas()) >= 14
    for record in (PREDICTION, LABEL):
        body = text.split(f"TABLE trueup_{record.name} (")[1].split("\n)")[0]
        assert re.findall(r"^  `(\w+)` ", body, re.MULTILINE) == record.names


def test_written_tables_have_the_defined_columns():
    rows = [{"slice": "camera", "value": None, "model_version": "1", "origin": None, "predicted": "a", "label": None, "n": 2}]
    days = [day([cell("a", "a", 0.9), cell("b", "a", 0.4, origin="audit")], **{SLICES.name: rows})]
    made = tables.tables(document(*days), WindowCounts.of(days))
    assert evaluation_schemas().keys() - made.keys() == {"delays", "labelers"}, "this window has neither"
    for name, table in made.items():
        assert table.schema.names == evaluation_schemas()[name].names, name


def test_the_one_liner_runs(tmp_path):
    days = [day([cell("a", "a", 0.9, n=40), cell("b", "a", 0.4, origin="audit")])]
    table = tables.tables(document(*days), WindowCounts.of(days))["per_class"]
    file = tmp_path / layout.sql_table("per_class", "m", "e1")
    file.parent.mkdir(parents=True)
    file.write_bytes(counts_store.to_parquet(table))
    query = " ".join(line.removeprefix("--") for line in HEAD.splitlines() if line.startswith("--   "))
    found = duckdb.sql(query.rstrip(" ;").replace("demo-root", str(tmp_path))).fetchall()
    assert [row[1] for row in found] == ["a", "b"] and found[0][5] == 41
    assert pq.read_table(tmp_path / "tables", partitioning="hive")["model"].to_pylist() == ["m", "m"]
