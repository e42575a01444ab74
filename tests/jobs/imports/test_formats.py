"""Kinds of files: separators, headers, rows of another length, JSON arrays, gzip; and what is none of them."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs.imports.files import AT, accuracy, labels, predictions, put_array, put_csv, put_lines

HEAD = "prediction_id,predicted_at,predicted_label,confidence\n"
ROW = f"a0,{AT},cat,0.9\n"
ODD = ("two\nlines", "a, b; c|d\te", 'said "so"', " cat ")


def write(tmp_path, text, name="p.csv"):
    (tmp_path / name).write_text(text, newline="")
    return tmp_path / name


@pytest.mark.parametrize("delimiter, name, newline", [
    (",", None, "\n"), (";", "';'", "\r\n"), ("\t", "tabs", "\r"), ("|", "'|'", "\n")])
def test_the_header_tells_what_separates_columns(tmp_path, runs, delimiter, name, newline):
    p = put_csv(tmp_path / "p.csv", predictions(*ODD), delimiter=delimiter, newline=newline)
    l = put_csv(tmp_path / "l.csv", labels("two lines", *ODD[1:]), delimiter=delimiter, newline=newline)  # noqa: E741
    assert accuracy(runs.evaluate(p, l)) == (1.0, 4)
    assert (f"columns separated by {name}" in runs.said) == bool(name)


@pytest.mark.parametrize("head", ["sep=;\n", "sep=;\r\n"])
def test_the_separator_that_excel_names(tmp_path, runs, head):
    path = write(tmp_path, head + (HEAD + "a0,AT,x;9\n").replace(",", ";").replace("x;9", "cat;0,9").replace("AT", AT))
    assert runs.evaluate(path)["rows"]["predictions"] == 1 and "0,9 read as 0.9" in runs.said


def test_a_separator_that_is_named(tmp_path, runs):
    path = write(tmp_path, (HEAD + ROW).replace(",", "\t"))
    assert runs.evaluate(path, "", "--delimiter", "tab")["rows"]["predictions"] == 1
    assert "missing among" in runs.evaluate(path, "", "--delimiter", ";", code=1)
    assert "expected , ; | or tab" in runs.evaluate(path, "", "--delimiter", "x", code=2)


def test_spaces_after_the_commas(tmp_path, runs):
    text = (HEAD + ROW + ROW.replace("a0", "a1").replace("cat", '"c, d"')).replace(",", ", ")
    path = write(tmp_path, text.replace("c,  d", "c, d"))
    document = runs.evaluate(path, put_csv(tmp_path / "l.csv", labels("cat", "c, d")))
    assert accuracy(document) == (1.0, 2)


@pytest.mark.parametrize("text, said", [
    ("", "missing among none"), (ROW, "The first row must name the columns"),
    (HEAD.replace("confidence", "predicted_label") + ROW, "the column 'predicted_label' comes twice"),
    ("," + HEAD + "0," + ROW, "column 1 of 5 has no name. Name it, or leave it out (pandas: to_csv(…, index=False))"),
    (HEAD.replace("prediction_id", "Prediction ID") + ROW, "Perhaps rename 'Prediction ID' to prediction_id"),
    (HEAD + ROW + f"a1,{AT},cat\n", "row 2: expected 4 fields, got 3: confidence missing"),
    (HEAD + ROW + ROW.replace("0.9", "0,9"), "row 2: expected 4 fields, got 5"),
    (HEAD + f'a0,{AT},"cat,0.9\n', "line 2: expected CSV, got unexpected end of data"),
    (HEAD + f'a0,{AT},"c"at,0.9\n', "line 2: expected CSV, got"),
    (HEAD + ROW.replace("cat", "c\0t"), "line 2: expected text, got a NUL character")])
def test_csv_that_is_none(tmp_path, runs, text, said):
    assert said in runs.evaluate(write(tmp_path, text), code=1)


@pytest.mark.parametrize("name, text, said", [
    ("p.jsonl", '{"prediction_id": "a", "predicted_label": "x", "predicted_label": "y"}\n',
     "row 1: the key 'predicted_label' comes twice"),
    ("p.json", '[{"prediction_id": "a", "attributes": {"a": "1", "a": "2"}}]', "row 1: the key 'a' comes twice"),
    ("p.jsonl", "5\n", "row 1: expected a JSON object, got 5"), ("p.json", "5", "row 1: expected a JSON object, got 5"),
    ("p.json", '"text"', "row 1: expected a JSON object, got 'text'"),
    ("p.json", "null", "row 1: expected a JSON object, got None"),
    ("p.json", "[1, 2]", "row 1: expected a JSON object, got 1"), ("p.jsonl", "[1]\n[2]\n", "expected a JSON array of objects"),
    ("p.json", '[{"prediction_id": "a"},', "expected a JSON array of objects"),
    ("p.jsonl", '{"a": 1}\n{"a"', "line 2: expected a JSON object"), ("p.jsonl", "[" * 100_000, "nested too deep"),
    ("p.json", '{"predicted_label": {"0": "cat"}}', "prediction_id, predicted_at missing"),
    ("p.jsonl", '{"prediction_id": "a\\ud800", "predicted_at": "2026-11-18", "predicted_label": "x", "confidence": 1}',
     "row 1: column 'prediction_id': expected string")])
def test_json_that_is_none(tmp_path, runs, name, text, said):
    assert said in runs.evaluate(write(tmp_path, text, name), code=1)


def test_one_object_over_several_lines_is_one_row(tmp_path, runs):
    path = write(tmp_path, json.dumps(predictions("cat")[0], indent=1), "p.json")
    assert runs.evaluate(path)["rows"]["predictions"] == 1


@pytest.mark.parametrize("write_rows, ending", [(put_csv, "csv"), (put_lines, "jsonl"), (put_array, "json")])
def test_gzip(tmp_path, runs, write_rows, ending):
    path = write_rows(tmp_path / f"p.{ending}", predictions("cat", "dog"))
    packed = tmp_path / f"p.{ending}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert runs.evaluate(packed)["rows"]["predictions"] == 2
    packed.write_bytes(packed.read_bytes()[:-9])
    assert "expected a gzip file, got one that cannot be read" in runs.evaluate(packed, code=1)


@pytest.mark.parametrize("name, said", [("p.zip", "Unpack it first"), ("p.xlsx", "Save the sheet as CSV"), ("p", "no suffix")])
def test_files_of_other_kinds(tmp_path, runs, name, said):
    assert said in runs.evaluate(write(tmp_path, "x", name), code=2)


TEXTS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]


@pytest.mark.parametrize("kind", TEXTS, ids=str)
def test_parquet_texts(tmp_path, runs, kind):
    types = dict.fromkeys(("prediction_id", "predicted_label", "label"), kind)
    for name, rows in (("p", predictions("cat", "dog")), ("l", labels("cat", "dog"))):
        columns = {c: pa.array([r[c] for r in rows], types.get(c)) for c in rows[0]}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    assert accuracy(runs.evaluate(tmp_path / "p.parquet", tmp_path / "l.parquet")) == (1.0, 2)


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(25, 2)], ids=str)
def test_parquet_numbers_as_classes(tmp_path, runs, kind):
    rows = labels("x", "y")
    names = pa.array([7, 3], pa.int64()).cast(kind)
    table = pa.table({c: [r[c] for r in rows] for c in rows[0] if c != "label"}).append_column("label", names)
    pq.write_table(table, tmp_path / "l.parquet")
    assert accuracy(runs.evaluate(put_csv(tmp_path / "p.csv", predictions("7", "3")), tmp_path / "l.parquet")) == (1.0, 2)


@pytest.mark.parametrize("values, said", [
    (pa.array([b"cat", b"dog"]), "expected the name of a class, got b'cat'"),
    (pa.array([1, 2], pa.date32()), "expected the name of a class, got datetime.date"),
    (pa.array([["cat", "dog"], ["dog"]]), "expected the name of one class, got ['cat', 'dog']")])
def test_parquet_columns_that_are_no_labels(tmp_path, runs, values, said):
    rows = labels("x", "y")
    table = pa.table({c: [r[c] for r in rows] for c in rows[0] if c != "label"}).append_column("label", values)
    pq.write_table(table, tmp_path / "l.parquet")
    found = runs.evaluate(put_csv(tmp_path / "p.csv", predictions("cat", "dog")), tmp_path / "l.parquet", code=1)
    assert f"l.parquet: row 1: column 'label': {said}" in found


def test_a_column_that_comes_twice_in_parquet(tmp_path, runs):
    rows = predictions("cat")
    table = pa.table({c: [r[c] for r in rows] for c in rows[0]}).append_column("confidence", pa.array([0.1]))
    pq.write_table(table, tmp_path / "p.parquet")
    assert "the column 'confidence' comes twice" in runs.evaluate(tmp_path / "p.parquet", code=1)
