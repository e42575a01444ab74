import json
from pathlib import Path

import jsonschema
import pyarrow as pa
import pytest

from contract import jsonio
from contract.documents.evaluation import parse
from contract.errors import Mismatch
from metrics.tables import tables
from metrics.window import WindowCounts
from tests.figures import cell, day, document, random_cells

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas" / "evaluation.schema.json"
SLICES = [{"slice": "camera", "value": v, "model_version": "1", "origin": o, "predicted": "a", "label": x, "n": n}
          for v, o, x, n in [("x", "audit", "a", 3), ("x", None, None, 2), (None, "import", "b", 1)]]
DAYS = [
    [],
    [day([])],
    [day([cell("a", n=3)])],
    [day([cell("a", "b", 0.4)])],
    [day(random_cells(1), slices=SLICES), day(random_cells(2, p=0.25, origin="audit"), "2026-11-19")],
    [day(random_cells(3), people=[{"labeler": None, "votes": 2, "agreements": 1}],
         delays=[{"days": -1, "origin": "audit", "n": 2}],
         coincidences=[{"label": x, "other_label": y, "votes": 2, "n": 2} for x, y in ("ab", "ba")])],
]


@pytest.mark.parametrize("days", DAYS)
def test_every_document_keeps_the_published_schema(days):
    found = jsonio.loads(jsonio.dumps(document(*days)))
    jsonschema.validate(found, json.loads(PUBLISHED.read_text()))
    assert parse(jsonio.dumps(found), "evaluation.json") == found, "nothing that is written is lost or made up by reading"


@pytest.mark.parametrize("days", DAYS)
def test_what_is_null_has_a_reason(days):
    def walk(value):
        if isinstance(value, dict):
            if "value" in value and value["value"] is None and "slice" not in value:
                assert value["reason"]
            value = list(value.values())
        for part in value if isinstance(value, list) else []:
            walk(part)

    walk(document(*days))


def test_a_document_without_reason_for_a_null_is_refused():
    found = document(day([cell("a")]))
    found["versions"]["1"]["accuracy"] = {"value": None, "low": None, "high": None}
    with pytest.raises(Mismatch, match="a null value or bound needs a reason"):
        parse(jsonio.dumps(found), "evaluation.json")


def test_days_add_and_versions_stay_apart():
    one, two = [cell("a", "a", n=2)], [cell("a", "b", n=3), cell("a", "a", version="2", n=5)]
    found = document(day(one, "2026-11-19"), day(two, "2026-11-20"))
    assert {v: (x["predictions"], x["accuracy"]["value"]) for v, x in found["versions"].items()} == {
        "1": (5, 0.4), "2": (5, 1.0)}
    assert [(r["day"], r["version"], r["predictions"]) for r in found["trend"]] == [
        ("2026-11-19", "1", 2), ("2026-11-20", "1", 3), ("2026-11-20", "2", 5)]
    assert found["rows"]["predictions"] == 10


def test_slices_have_accuracy_per_value():
    found = document(day([cell()], slices=SLICES))["slices"]
    assert [(r["value"], r["predictions"], r["labelled"], r["accuracy"]["value"]) for r in found] == [
        (None, 1, 1, 0.0), ("x", 5, 3, 1.0)]
    assert found[1]["by_origin"]["audit"]["value"] == 1.0


def test_tables_say_the_same_and_hold_the_whole_confusion():
    days = [day([cell(f"p{i}", "l", n=2, confidence=0.5) for i in range(10_010)] + [cell("l", "l")])]
    found = document(*days)
    made = tables(found, WindowCounts.of(days))
    assert made["confusion"].num_rows == 10_011 == len(found["versions"]["1"]["confusion"]) + 11
    assert made["confusion"].schema.names == ["version", "label", "predicted", "count"]
    row = made["per_class"].slice(0, 1).to_pylist()[0]
    assert (row["label"], row["support"], row["recall"]) == ("l", 20_021, pytest.approx(1 / 20_021))
    assert made["confidence_buckets"]["count"].to_pylist() == [2] * 10_010
    assert made["versions"].schema.field("estimate_origin").type == pa.string()


def test_bytes_of_the_document_depend_on_the_counts_alone():
    cells = random_cells(9, p=0.5)
    first, again = (jsonio.dumps(document(day(c))) for c in (cells, cells[::-1]))
    assert first == again
