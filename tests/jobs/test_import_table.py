"""`trueup import`: what enters, under which day, and that bad rows leave nothing behind."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.storage import open_storage
from jobs import import_table
from tests.jobs.stored_rows import read_rows

P = "prediction_id,predicted_at,model,model_version,predicted_label,confidence,top_labels\n"
UUID = "019e1234-5678-7abc-8def-0123456789ab"  # of 2026-05-10


def run(root, table, path, *options):
    return import_table.main([table, str(path), "--root", root, *options])


def put(path, text):
    path.write_text(text, "utf-8")
    return path


def test_predictions_from_csv(tmp_root, tmp_path):
    path = put(tmp_path / "p.csv", P + f'{UUID},2026-05-10T10:00:00+02:00,m,3, caf\u0065\u0301  noir ,0.5,'
                                       '"[""caf\u00e9 noir"", ""b""]"\n'
                                       'x,2026-05-11,m,3,"two\nlines",,\n')
    assert run(tmp_root, "predictions", path) == 0
    first, second = read_rows(tmp_root, "predictions")
    cafe = "caf\u00e9 noir"
    assert (first["predicted_label"], first["top_labels"], first["day"]) == (cafe, [cafe, "b"], "2026-05-10")
    assert first["predicted_at"].hour == 8 and (second["confidence"], second["day"]) == (None, "2026-05-11")
    assert second["predicted_label"] == "two lines"


def test_labels_find_the_day_of_their_prediction(tmp_root, tmp_path):
    put(tmp_path / "p.csv", P + "x,2026-05-11,m,3,cat,0.5,\n")
    run(tmp_root, "predictions", tmp_path / "p.csv")
    lines = [{"prediction_id": i, "label": "cat", "labeler": None, "labeled_at": "2026-05-12T00:00:00Z"} for i in ("x", UUID)]
    path = put(tmp_path / "l.jsonl", "\n".join(map(json.dumps, lines)))
    assert run(tmp_root, "labels", path) == 0
    found = read_rows(tmp_root, "labels")
    assert [(r["prediction_id"], r["day"], r["origin"]) for r in found] == [(UUID, "2026-05-10", "import"),
                                                                          ("x", "2026-05-11", "import")]
    assert all(r["label_id"][14] == "7" for r in found)


def test_the_same_import_again_changes_nothing(tmp_root, tmp_path):
    table = pa.table({"prediction_id": ["a"], "label": ["cat"], "labeler": ["ann"],
                      "labeled_at": pa.array([10**15], pa.timestamp("us", "UTC")), "dt": ["2001-09-09"]})
    pq.write_table(table, tmp_path / "l.parquet")
    run(tmp_root, "labels", tmp_path / "l.parquet")
    before = list(open_storage(tmp_root).list())
    assert run(tmp_root, "labels", tmp_path / "l.parquet") == 0 and list(open_storage(tmp_root).list()) == before
    assert before[0].key.startswith("labels/dt=2001-09-09/import-")


BAD = [("x,2026-05-11,m,3,cat,1.5,", "row 2: column 'confidence': expected 0 to 1, got 1.5"),
       ("x,noon,m,3,cat,0.5,", "row 2: column 'predicted_at': expected timestamp, got 'noon'"),
       (",2026-05-11,m,3,cat,0.5,", "row 2: column 'prediction_id': expected a value, got none"),
       ("x,2026-05-11,m,3,cat,half,", "row 2: column 'confidence': expected double, got 'half'")]


@pytest.mark.parametrize("line, message", BAD)
def test_bad_rows_are_named_and_nothing_is_written(tmp_root, tmp_path, capsys, line, message):
    path = put(tmp_path / "p.csv", P + f"good,2026-05-11,m,3,cat,0.5,\n{line}\n")
    assert run(tmp_root, "predictions", path) == 1
    assert f"{path}: {message}" in capsys.readouterr().err and not read_rows(tmp_root, "predictions")
    assert run(tmp_root, "predictions", path, "--skip-bad") == 0
    assert message in capsys.readouterr().out and [r["prediction_id"] for r in read_rows(tmp_root, "predictions")] == ["good"]


def test_a_label_without_a_prediction_needs_a_day(tmp_root, tmp_path, capsys):
    path = put(tmp_path / "l.csv", "prediction_id,label,labeler,labeled_at\nnobody,cat,ann,2026-05-12\n")
    assert run(tmp_root, "labels", path) == 1
    assert "row 1: no prediction 'nobody' in the root" in capsys.readouterr().err
    assert run(tmp_root, "labels", path, "--day", "2026-05-11") == 0
    assert [r["day"] for r in read_rows(tmp_root, "labels")] == ["2026-05-11"]


@pytest.mark.parametrize("name, text, code, message", [
    ("p.txt", "", 2, "expected a file named .csv"), ("p.csv", "a,b\n1,2\n", 1, "prediction_id, predicted_at, .* missing"),
    ("p.parquet", "no", 1, "expected a Parquet file"), ("p.jsonl", "{", 1, "line 1: expected a JSON object")])
def test_files_that_cannot_be_read(tmp_root, tmp_path, capsys, name, text, code, message):
    assert run(tmp_root, "predictions", put(tmp_path / name, text)) == code
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("table", ["predictions", "labels"])
def test_a_file_that_is_refused_makes_no_root(tmp_root, tmp_path, table):
    before = sorted(tmp_path.rglob("*"))
    path = put(tmp_path / "x.csv", P + "x,2026-05-10,m,3,,0.5,\n" if table == "predictions" else
               "prediction_id,label,labeler,labeled_at\nx,cat,anna,2026-05-11\n")
    assert run(tmp_root, table, path) == 1
    assert sorted(tmp_path.rglob("*")) == [*before, path]
