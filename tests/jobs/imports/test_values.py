"""Numbers, times, lists and flags of imported rows: what is taken, what is said, and what cannot be."""

from datetime import datetime

import pyarrow as pa
import pytest

from contract import clock
from contract.records import LABEL, PREDICTION
from jobs import evaluate
from jobs.imports import rows
from jobs.imports.notes import Notes
from jobs.imports.options import Reading
from tests.jobs.imports.files import LATER, labels, predictions, put, put_csv, put_lines, put_parquet

MODEL = ("--model", "m", "--model-version", "1")


def bring(runs, path, code=0):
    return runs.bring("predictions", path, *MODEL, code=code)


def read(path, table=PREDICTION, **options):
    """(rows, lines of bad rows, changes)."""
    notes = Notes()
    good, bad = rows.read(path, table, dict(model="m", model_version="1"), Reading(**options), notes)
    return [row for _, row in good], bad, notes.to_dict(of_labels=False)["changed"]


IMPOSSIBLE = [
    ("confidence", 1.5, "expected 0 to 1, got 1.5. A percentage?"),
    ("confidence", 87, "expected 0 to 1, got 87.0. A percentage?"),
    ("confidence", -0.2, "expected 0 to 1, got -0.2"), ("confidence", float("inf"), "expected a finite number, got inf"),
    ("confidence", True, "expected a number, got True"), ("confidence", "high", "expected double, got 'high'"),
    ("predicted_at", "1999-12-31T23:59:59Z", "which is before the year 2000"),
    ("predicted_at", "0001-01-01T00:00:00Z", "which is before the year 2000"),
    ("predicted_at", "2999-01-01T00:00:00Z", "which is later than now"),
    ("predicted_at", 1700000000, "got the number 1700000000, which could count seconds or parts of them. Name its unit by "
                                 "--time-unit s|ms|us|ns"),
    ("predicted_at", "1700000000.25", "--time-unit"), ("predicted_at", "18.11.2026 09:00", "Write it in ISO 8601, year first"),
    ("predicted_at", "11/18/2026", "year first"), ("predicted_at", "18-11-2026", "year first"),
    ("predicted_at", "2026-13-01", "expected timestamp, got '2026-13-01'"), ("predicted_at", True, "expected a time, got True"),
    ("recorded_at", "2999-01-01T00:00:00Z", "later than now"),
    ("width", -1, "expected 0 or more, got -1"), ("width", 10.5, "expected a whole number, got 10.5"),
    ("width", 1 << 31, "expected int32, got 2147483648"), ("latency_ms", -3.0, "expected 0 or more, got -3.0"),
    ("latency_ms", "1,234", "whose comma could stand before thousands or before decimals"),
    ("predicted_label", "\u2260", "which says that an answer is wrong"),
    ("predicted_label", float("nan"), "expected a value, got none"),
    ("role", True, "expected text, got true"), ("role", ["live"], "expected text, got ['live']"),
    ("client", 1.5, "expected text or a whole number, got 1.5"), ("client", "nan", "'nan' could be a text or a missing value"),
    ("top_labels", ["dog", "cat"], "expected the predicted label 'cat' first, got 'dog'"),
    ("top_labels", ["cat", "dog", "cat"], "expected each class once, got 'cat' twice"),
    ("top_labels", "cat", "expected list<string>, got 'cat'"), ("top_labels", ["cat", None], "expected names of classes"),
    ("top_probabilities", [0.9, 1.2], "expected 0 to 1, got 1.2"), ("top_probabilities", [0.9, float("nan")], "got nan"),
    ("top_probabilities", [0.2, 0.8], "expected the best first, got 0.8 after 0.2"),
    ("top_probabilities", [0.8, 0.2], "expected the first of top_probabilities, 0.8, got 0.9"),
    ("attributes", [1, 2], "column 'attributes'"), ("attributes", "none", "column 'attributes'"),
]


@pytest.mark.parametrize("column, value, said", IMPOSSIBLE)
def test_values_that_cannot_be(tmp_path, column, value, said):
    path = put_lines(tmp_path / "p.jsonl", [*predictions("cat"), predictions("cat")[0] | {column: value}])
    good, (message,), _ = read(path)
    assert message.startswith(f"{path}: row 2: column ") and said in message and len(good) == 1


def test_lists_of_different_lengths(tmp_path):
    table = predictions("cat", top_labels=[["cat", "dog"]], top_probabilities=[[0.9]])
    _, (said,), _ = read(put_lines(tmp_path / "p.jsonl", table))
    assert "row 1: column 'top_probabilities': expected as many as top_labels, 2, got 1" in said


@pytest.mark.parametrize("column, value, said", [
    ("selection_probability", 0, "expected more than 0 and at most 1, got 0"),
    ("selection_probability", 1.5, "expected 0 to 1, got 1.5"), ("selection_probability", 20, "A percentage?"),
    ("labeled_at", "2999-01-01T00:00:00Z", "later than now"), ("labeled_at", 0, "--time-unit"),
    ("saw_prediction", "perhaps", "true or false"), ("withdraws", 2, "true or false")])
def test_labels_that_cannot_be(tmp_path, column, value, said):
    _, (message,), _ = read(put_lines(tmp_path / "l.jsonl", [labels("cat")[0] | {column: value}]), LABEL)
    assert f"row 1: column {column!r}: " in message and said in message


TAKEN = [("confidence", 1.0000001, 1.0, "1.0000001 read as 1.0"), ("confidence", -1e-9, 0.0, "-1e-09 read as 0.0"),
         ("confidence", "0,9", 0.9, "0,9 read as 0.9"), ("confidence", "NaN", None, "NaN read as no value"),
         ("confidence", None, None, None), ("confidence", ".5", 0.5, None), ("latency_ms", "12,5", 12.5, "12,5 read as 12.5"),
         ("width", 224.0, 224, "224.0 read as 224"), ("width", "224.0", 224, "224.0 read as 224"),
         ("width", "N/A", None, "N/A read as no value"),
         ("client", 7, "7", None), ("client", 7.0, "7", "7.0 read as 7"), ("client", None, None, None),
         ("predicted_label", 7, "7", None), ("predicted_label", 7.0, "7", "7.0 read as 7")]


@pytest.mark.parametrize("column, value, meant, said", TAKEN)
@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_values_that_can_mean_one_thing(tmp_path, column, value, meant, said, kind):
    if kind == "csv" and column == "client" and said:
        meant, said = "7.0", None  # the text 7.0 may be the name of a client
    (row,), bad, changed = read(put(tmp_path / f"p.{kind}", [predictions("cat")[0] | {column: value}]))
    assert (row[column], bad, [c["what"] for c in changed]) == (meant, [], [said] if said else [])


TIMES = [("2026-11-18T09:00:00Z", None), ("2026-11-18 09:00:00", None), ("2026-11-18T10:00:00+01:00", None),
         ("2026-11-18 09:00:00 UTC", None), ("2026-11-18T09:00:00.000000000Z", None)]


@pytest.mark.parametrize("text, unit", [*TIMES, (1794992400, "s"), ("1794992400", "s"), (1794992400000, "ms"),
                                        (1794992400000000, "us"), ("1794992400000000000", "ns"), (1794992400.0, "s")])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_times(tmp_path, text, unit, kind):
    path = put(tmp_path / f"p.{kind}", predictions("cat", predicted_at=[text]))
    (row,), bad, changed = read(path, time_unit=unit)
    assert (row["predicted_at"].isoformat(), bad, len(changed)) == ("2026-11-18T09:00:00+00:00", [], bool(unit))


def test_a_day_alone_is_its_start_and_that_is_said(tmp_path):
    (row,), _, changed = read(put_csv(tmp_path / "p.csv", predictions("cat", predicted_at=["2026-11-18"])))
    assert row["predicted_at"].isoformat() == "2026-11-18T00:00:00+00:00"
    assert [c["what"] for c in changed] == ["2026-11-18 read as 2026-11-18T00:00:00Z"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_times_in_parquet(tmp_path, unit, zone):
    at = datetime(2026, 11, 18, 9)
    table = predictions("cat", predicted_at=[at])
    (row,), _, changed = read(put_parquet(tmp_path / "p.parquet", table, predicted_at=pa.timestamp(unit, zone)))
    assert row["predicted_at"].isoformat() == "2026-11-18T09:00:00+00:00" and changed == []


def test_a_minute_of_skew_is_no_future(runs, monkeypatch):
    monkeypatch.setattr(clock, "now_us", lambda: clock.to_us(clock.parse_moment(LATER)) - 50_000_000)
    bring(runs, put_csv(runs.folder / "p.csv", predictions("cat", predicted_at=[LATER])))
    monkeypatch.setattr(clock, "now_us", lambda: clock.to_us(clock.parse_moment(LATER)) - 70_000_000)
    assert "later than now" in bring(runs, put_csv(runs.folder / "p.csv", predictions("cat", predicted_at=[LATER])), code=1)


def test_an_evaluation_as_of_later_than_now_believes_times_until_then(runs):
    path = put_csv(runs.folder / "p.csv", predictions("cat", predicted_at=["2101-01-01T00:00:00Z"]))
    assert "later than now" in runs.evaluate(path, code=1)
    assert runs.evaluate(path, "", "--as-of", "2102-01-01")["rows"]["predictions"] == 1


def test_what_was_changed_is_said_once_for_each_kind(runs):
    document = bring(runs, put_csv(runs.folder / "p.csv", predictions(*"abc", confidence=["0,9", "0.8", "0,7"])))
    assert document["changed"] == [{"what": "0,9 read as 0.9", "column": "confidence", "values": 2, "first_row": 1}]
    assert runs.said.strip() == f"{runs.folder}/p.csv: 0,9 read as 0.9: 2 values of column confidence, first in row 1"


def test_two_files_and_a_root_take_the_same_options(runs):
    assert "--encoding is for --predictions and --labels" in runs._finish(
        evaluate.main(["--root", str(runs.folder / "root"), "--model", "m", "--json", "--encoding", "cp1252"]), 2)
