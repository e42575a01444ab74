"""Rows of others in place: what counting takes by its rules, and what is said of it on standard error and in the document."""

import json
import math
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.errors import DONE, ERROR, ForeignSchema
from contract.storage import open_storage
from jobs import evaluate
from jobs.doubtful_rows import describe_impossible
from jobs.engines.question import Question
from tests import generate, oracle
from tests.engines import counted, differences, embedded, mapreduce, spark_here

DAY, NEXT = "2026-11-18", "2026-11-19"
START = generate.start_of(DAY)
AS_OF = START + 5 * generate.DAY_US
TIME = pa.timestamp("us", "UTC")
NAMES = ["cat", "dog", "black cat", "dog"]


def put(root, table, day, **columns):
    """A file of four rows with the required columns alone, and those that are given."""
    times = pa.array([generate.start_of(day) + n * 10**6 for n in range(4)], TIME)
    ids = [f"img{n}" for n in range(4)]
    plain = {"predictions": {"prediction_id": ids, "predicted_at": times, "model": ["m"] * 4, "model_version": ["1"] * 4,
                             "predicted_label": NAMES, "confidence": [0.9] * 4},
             "labels": {"prediction_id": ids, "label": NAMES, "labeler": ["ann"] * 4, "labeled_at": times}}[table]
    folder = root / table / f"dt={day}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(plain | columns), folder / f"{len(list(folder.iterdir()))}.parquet")


ENGINES = {"embedded": ("--engine", "embedded"), "mapreduce": ("--engine", "mapreduce", "--runner", "inline")}


@pytest.fixture
def run(tmp_path, capsys, caplog):
    """A function: options -> the document, and what was said beside it."""
    def evaluated(*options, code=DONE):
        caplog.clear()
        assert evaluate.main(["--root", str(tmp_path), "--model", "m", "--as-of", "2026-11-22", "--json", *options]) == code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return json.loads(out), "\n".join(caplog.messages)
    return evaluated


SPELLINGS = {
    "case": (NAMES, ["Cat", "Dog", "Black Cat", "Dog"], "'Dog' (nearest: 'dog')"),
    "zeros": (["007", "010", "007", "001"], ["7", "10", "7", "1"], "'7' (nearest: '007')"),
    "index": (NAMES, ["0", "1", "2", "1"], "'1' (nearest: 'dog')"),
    "invisible": (NAMES, [f"{name}\u200b" for name in NAMES], "'dog\\u200b' (nearest: 'dog')"),
    "underscore": (NAMES, ["CAT", "DOG", "black_cat", "DOG"], "'black_cat' (nearest: 'black cat')"),
    "float text": (["7", "10", "7", "1"], ["7.0", "10.0", "7.0", "1.0"], "'7.0' (nearest: '7')"),
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_labels_that_name_no_class(tmp_path, run, case):
    predicted, labels, nearest = SPELLINGS[case]
    put(tmp_path, "predictions", DAY, predicted_label=predicted)
    put(tmp_path, "labels", DAY, label=labels)
    document, said = run()
    assert document["versions"]["1"]["accuracy"]["value"] == 0.0  # by the rules of counting, which compare bytes
    (doubt,) = document["doubts"]
    assert (doubt["kind"], doubt["version"]) == ("no class named", "1") and nearest in doubt["sentence"]
    assert "not one of its 4 labels names a class that it knows" in said


def test_labels_of_which_one_names_a_class_are_no_doubt(tmp_path, run):
    put(tmp_path, "predictions", DAY)
    put(tmp_path, "labels", DAY, label=["Cat", "Dog", "eel", "cat"])
    document, said = run()
    assert document["doubts"] == [] and not said


@pytest.mark.parametrize("word", ["nan", "NaN", "None", "<NA>"])
def test_labels_that_say_that_nothing_was_said(tmp_path, run, word):
    put(tmp_path, "predictions", DAY)
    put(tmp_path, "labels", DAY, label=["cat", word, word, "dog"])
    document, said = run()
    assert [doubt["kind"] for doubt in document["doubts"]] == ["missing values"]
    assert said.startswith(f"2 labels are {word!r}, no class that the model knows")
    put(tmp_path, "labels", DAY, label=["cat", word, "dog", "dog"])
    (tmp_path / "labels" / f"dt={DAY}" / "0.parquet").unlink()
    assert run()[1].startswith(f"1 label is {word!r}, no class that the model knows")
    put(tmp_path, "predictions", DAY, prediction_id=["a", "b", "c", "d"], predicted_label=[word] * 4)
    assert run()[0]["doubts"] == []


def test_labels_under_their_own_day(tmp_path, run):
    put(tmp_path, "predictions", DAY)
    put(tmp_path, "labels", NEXT)
    for options, begins in (((), f"not counted: labels/dt={NEXT}, after the newest predictions:"),
                            (("--to", NEXT), f"4 of 4 labels under labels/dt={NEXT} are orphans:")):
        document, said = run(*options)
        assert (document["doubts"][0]["kind"], said[:len(begins)]) == ("without prediction", begins)
    assert document["rows"]["orphan"] == 4
    assert (f"the prediction of 'img0' lies under predictions/dt={DAY}. A "
            f"label lies under the day of its prediction, whenever it was given: expected it under labels/dt={DAY}.") in said


@pytest.mark.parametrize("changed, why", [
    ({"prediction_id": [f"other{n}" for n in range(4)]}, "no prediction has the id 'other0'"),
    ({}, f"predictions/dt={DAY} has their ids, but in rows that do not count")])
def test_labels_without_a_prediction(tmp_path, run, changed, why):
    put(tmp_path, "predictions", DAY, role=["live" if changed else "shadow"] * 4)
    put(tmp_path, "labels", DAY, **changed)
    _, said = run()
    assert why in said


@pytest.mark.parametrize("loser", [{"model_version": ["2"] * 4}, {"model": ["other"] * 4}], ids=lambda loser: next(iter(loser)))
def test_a_version_whose_rows_all_lose_is_named(tmp_path, run, loser):
    put(tmp_path, "predictions", DAY)
    later = pa.array([START + 3600 * 10**6 + n for n in range(4)], TIME)
    put(tmp_path, "predictions", DAY, predicted_at=later, **loser)
    model = loser.get("model", ["m"])[0]
    document, said = run("--model", model)
    (doubt,) = document["doubts"]
    version = loser.get("model_version", ["1"])[0]
    assert (doubt["kind"], doubt["version"]) == ("version lost", version)
    winner = "version '1'" if model == "m" else "version '1' of model 'm'"
    assert f"none of its 4 rows under predictions/dt={DAY} counts, because {winner} has the same ids, for example 'img0'" in said


ODD = {
    "early prediction": ("predictions", {"predicted_at": pa.array([0, 5, START, START], TIME)}, 2, "2 with a predicted_at"),
    "nan": ("predictions", {"confidence": [math.nan, 0.5, None, 0.5]}, 1, "1 with a confidence that is NaN or outside 0 to 1"),
    "percent": ("predictions", {"confidence": [95.0, -0.1, math.inf, 1.01]}, 4, "4 with a confidence that is NaN or outside"),
    "rounding": ("predictions", {"confidence": pa.array([1.0000001, 1.0000005, -1e-7, 1.0], pa.float32())}, 0, None),
    "not first": ("predictions", {"top_labels": [["dog", "cat"], ["dog"], None, []]}, 1, "1 with a first of top_labels that is"),
    "null first": ("predictions", {"top_labels": [[None, "cat"], ["dog"], None, []]}, 1, "(for example of 'img0')"),
    "early label": ("labels", {"labeled_at": pa.array([0, START, START, START], TIME)}, 1, "1 with a labeled_at before the year"),
    "no probability": ("labels", {"selection_probability": [1.5, math.nan, None, 1.0]}, 2, "2 with a selection_probability that"),
    "dictionaries": ("predictions", {"predicted_label": pa.array(NAMES).dictionary_encode(), "top_labels": pa.array(
        [["dog"], ["dog"], ["eel"], None], pa.list_(pa.dictionary(pa.int32(), pa.string())))}, 2, "2 with a first of top_labels"),
}


@pytest.mark.parametrize("case", ODD)
def test_values_that_cannot_be_are_counted_and_named(tmp_path, case):
    table, columns, n, said = ODD[case]
    for name in ("predictions", "labels"):
        put(tmp_path, name, DAY, **(columns if name == table else {}))
    question, expected = Question("m", AS_OF), oracle.count(tmp_path, DAY, "m", AS_OF)
    for engine in (embedded(), mapreduce, spark_here):
        (got,) = counted(engine, tmp_path, [DAY], question)
        assert differences(got, expected) == []
    rows = expected["rows"]
    assert (rows[f"impossible_{table}"], rows["predictions"], rows["vote"]) == (n, 4, 4)
    if said:
        assert said in describe_impossible(open_storage(str(tmp_path)), question, DAY)


def test_values_that_cannot_be_are_said(tmp_path, run):
    put(tmp_path, "predictions", DAY, confidence=[95.0, 0.5, 0.5, 0.5])
    put(tmp_path, "labels", DAY, labeled_at=pa.array([1, START, START, START], TIME))
    document, said = run()
    assert "1 row of predictions and 1 row of labels with a value that cannot be, counted all the same. Of 2026-11-18" in said
    assert [doubt["kind"] for doubt in document["doubts"]] == ["impossible values"]


def test_folders_that_are_no_days_are_named(tmp_path, run):
    put(tmp_path, "predictions", DAY)
    put(tmp_path, "labels", DAY)
    for name in ("dt=2026-13-40", "dt=20261118", "date=2026-11-18", "_temporary", ".spark"):
        (tmp_path / "predictions" / name).mkdir()
    document, said = run()
    assert document["rows"]["vote"] == 4 and list(document["counts"]) == [DAY]
    assert "not counted: predictions/date=2026-11-18/ and 2 more: expected a folder dt=YYYY-MM-DD for each day." in said


STORED = {
    "numbers as labels": ("labels", "label", pa.array([7, 10, 7, 1]), "expected string, got int64"),
    "7.0": ("labels", "label", pa.array([7.0, 10.0, None, 1.0]), "expected string, got double"),
    "lists": ("labels", "label", pa.array([["cat"]] * 4), "expected string, got list<"),
    "choices": ("labels", "label", pa.array([{"choices": ["cat"]}] * 4), "expected string, got struct<"),
    "bytes": ("labels", "label", pa.array([b"cat"] * 4), "expected string, got binary"),
    "flags": ("labels", "label", pa.array([True] * 4), "expected string, got bool"),
    "text time": ("labels", "labeled_at", pa.array(["2026-11-18T10:00:00Z"] * 4), "expected timestamp, got string"),
    "number time": ("predictions", "predicted_at", pa.array([START] * 4), "expected timestamp, got int64"),
    "day": ("predictions", "predicted_at", pa.array([20775] * 4, pa.date32()), "expected timestamp, got date32"),
    "other zone": ("predictions", "predicted_at", pa.array([START] * 4, pa.timestamp("us", "Europe/Berlin")),
                   r"expected timestamp, got timestamp\[us, tz=Europe/Berlin\]"),
    "decimal": ("predictions", "confidence", pa.array([1, 1, 0, 0], pa.int8()).cast(pa.decimal128(20, 2)),
                "expected double, got decimal128"),
    "number ids": ("labels", "prediction_id", pa.array([1, 2, 3, 4]), "expected string, got int64"),
    "real version": ("predictions", "model_version", pa.array([1.0] * 4), "expected string, got double"),
}


@pytest.mark.parametrize("case", STORED)
def test_what_is_not_taken_is_an_error_that_says_what_to_do(tmp_path, run, case):
    """The footers are looked at before any engine runs."""
    table, name, column, said = STORED[case]
    for each in ("predictions", "labels"):
        put(tmp_path, each, DAY, **({name: column} if each == table else {}))
    found, _ = run(code=ERROR)
    assert found["error"]["code"] == "ForeignSchema"
    assert re.search(f"{table}/dt={DAY}/0.parquet: column '{name}': {said}.* Write .*--quarantine", found["error"]["message"])


def test_columns_of_others_are_not_looked_at(tmp_path, run):
    put(tmp_path, "predictions", DAY, dt=pa.array([20775] * 4, pa.date32()), Role=["x"] * 4)
    put(tmp_path, "labels", DAY, dt=["2026-11-30"] * 4)
    document, _ = run()
    assert document["versions"]["1"]["accuracy"]["value"] == 1.0
    put(tmp_path, "labels", NEXT, labeler=pa.nulls(4))
    file = tmp_path / "labels" / f"dt={NEXT}" / "0.parquet"
    pq.write_table(pq.ParquetFile(file).read().rename_columns(["prediction_id", "Label", "labeler", "labeled_at"]), file)
    found, _ = run("--to", NEXT, code=ERROR)
    assert "column 'label': expected string, got no such column among prediction_id, Label, labeler" in found["error"]["message"]


def test_labels_that_are_null_are_invalid(tmp_path, run):
    put(tmp_path, "predictions", DAY)
    put(tmp_path, "labels", DAY, label=["cat", None, "", "dog"])
    document, _ = run()
    assert (document["rows"]["invalid"], document["versions"]["1"]["labelled"]) == (2, 2)
    assert document["versions"]["1"]["accuracy"]["value"] == 1.0


def test_files_without_rows_are_files(tmp_path, run):
    put(tmp_path, "predictions", DAY)
    put(tmp_path, "labels", DAY)
    for table in ("predictions", "labels"):
        whole = pq.ParquetFile(tmp_path / table / f"dt={DAY}" / "0.parquet")
        pq.write_table(whole.schema_arrow.empty_table(), tmp_path / table / f"dt={DAY}" / "empty.parquet")
        with pq.ParquetWriter(tmp_path / table / f"dt={DAY}" / "none.parquet", whole.schema_arrow):
            pass  # no row group at all
    for options in ENGINES.values():
        document, _ = run(*options, "--full")
        assert document["rows"]["vote"] == 4
    (got,) = counted(spark_here, tmp_path, [DAY], Question("m", AS_OF))
    assert got.rows["vote"] == 4


FAR = {"ms": 2**62, "us": 2**63 - 1, "ns": 2**63 - 1}


@pytest.mark.parametrize("unit, sign, table, column", [
    ("ms", 1, "predictions", "predicted_at"), ("ms", -1, "labels", "labeled_at"), ("us", 1, "predictions", "predicted_at"),
    ("us", -1, "predictions", "predicted_at"), ("us", 1, "labels", "labeled_at"), ("us", -1, "labels", "labeled_at"),
    ("ns", -1, "labels", "labeled_at")])
def test_times_beyond_reason_are_counted_or_named(tmp_path, run, table, column, unit, sign):
    """All engines say the same numbers, or the same file."""
    near = {"ms": START // 1000, "us": START, "ns": START * 1000}[unit]
    far = pa.array([sign * FAR[unit], near, near, near], pa.timestamp(unit, "UTC"))
    for name in ("predictions", "labels"):
        put(tmp_path, name, DAY, **({column: far} if name == table else {}))
    said = []
    for engine in (embedded(), mapreduce, spark_here):
        try:
            (got,) = counted(engine, tmp_path, [DAY], Question("m", AS_OF))
            said.append(differences(got, oracle.count(tmp_path, DAY, "m", AS_OF)))
        except (ForeignSchema, pa.ArrowInvalid):  # of which the driver makes a ForeignSchema
            said.append(unit == "ms")
    assert said == ([True] * 3 if unit == "ms" else [[]] * 3)
    if unit == "ms":
        found, _ = run(code=ERROR)
        assert found["error"]["code"] == "ForeignSchema" and f"{table}/dt={DAY}/0.parquet: exp" in found["error"]["message"]
