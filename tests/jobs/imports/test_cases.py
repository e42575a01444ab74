"""Files after situations in public threads, each with what is right; what holds for one holds in every format."""

import json

import pytest

from tests.jobs.imports.files import KINDS, LATER, accuracy, labels, predictions, put, put_csv, put_lines

DIGITS = ("7", "3", "7", "1", "3", "1")
P_NAMES, P_NUMBERS = ("cat", "dog", "black cat", "dog"), ("007", "010", "007", "001")
NAN = float("nan")


def both(tmp_path, p, l, kind="csv", of_predictions="csv"):  # noqa: E741
    return put(tmp_path / f"p.{of_predictions}", p), put(tmp_path / f"l.{kind}", l)


@pytest.mark.parametrize("p, l, right", [
    (DIGITS, (7.0, 3.0, 7.0, 1.0, None, 1.0), (1.0, 5, 0)), (("cat", "dog"), (["cat"], ["dog"]), (1.0, 2, 0)),
    (("cat", "dog", "cat", "dog"), ("cat", "dog", NAN, NAN), (1.0, 2, 2))])
def test_the_figures_of_an_engine(tmp_path, whole_runs, p, l, right):  # noqa: E741
    rows = [row for row in labels(*l) if row["label"] is not None]
    document = whole_runs.evaluate(*both(tmp_path, predictions(*p), rows, "jsonl", "jsonl"))
    assert (*accuracy(document), document["rows"]["invalid"]) == right and document["rows"]["vote"] == right[1]
    assert document["rows"]["labels"] == len(rows) and document["versions"]["1"]["predictions"] == len(p)


# -- whole numbers that pandas turned into floats -------------------------------------------------------------------------


@pytest.mark.parametrize("kind, side", [*((kind, "labels") for kind in KINDS), ("csv", "predictions"), ("parquet", "both")])
def test_7_0_is_read_as_7_and_that_is_said(tmp_path, runs, kind, side):
    floats, ints = [7.0, 3.0, 7.0, 1.0, 3.0, 1.0], [7, 3, 7, 1, 3, 1]
    p = predictions(*(floats if side != "labels" else ints))
    l = labels(*(floats if side != "predictions" else ints))  # noqa: E741
    files = both(tmp_path, p, l, kind, kind)
    document = runs.evaluate(*files)
    assert accuracy(document) == (1.0, 6)
    assert {row["label"] for row in document["versions"]["1"]["per_class"]} == {"7", "3", "1"}
    table = "labels" if side == "labels" else "predictions"
    (change,) = document["import"][table]["changed"]
    column = {"labels": "label", "predictions": "predicted_label"}[table]
    assert change == {"what": "7.0 read as 7", "column": column, "values": 6, "first_row": 1}
    assert f"7.0 read as 7: 6 values of column {column}, first in row 1" in runs.said


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_is_missing_among_the_floats_is_no_label(tmp_path, runs, kind):
    files = both(tmp_path, predictions(*DIGITS), labels(7.0, 3.0, None, 1.0, 3.0, None), kind)
    document = runs.evaluate(*files)
    assert accuracy(document) == (1.0, 4)
    assert (document["rows"]["labels"], document["rows"]["invalid"], document["rows"]["vote"]) == (6, 2, 4)


@pytest.mark.parametrize("names", [("7.0", "3.0"), ("7.5", "7.0")])
def test_a_class_that_is_called_7_0_stays(tmp_path, runs, names):
    """The predictions are no column of floats as a whole."""
    p = predictions(*names, "none of these")
    document = runs.evaluate(*both(tmp_path, p, labels(*names)))
    assert accuracy(document) == (1.0, 2) and document["import"]["labels"]["changed"] == []


def test_where_7_and_7_0_are_both_classes_it_is_asked_for(tmp_path, runs):
    files = both(tmp_path, predictions("x", "7"), labels(7.0, 7.0), "jsonl")
    assert accuracy(runs.evaluate(*files)) == (0.5, 2)
    for names in ("7.0x", "7.0"), ("7", "x"):
        bring(runs, put_csv(tmp_path / "p.csv", predictions(*names, prediction_id=[f"a{name}" for name in names])))
    said = runs.bring("labels", put_lines(files[1], labels(7.0, prediction_id=["a7"])), code=1)
    assert "l.jsonl: row 1: column 'label': '7.0' could be the class '7.0' or the class '7'" in said and "--label-map" in said


@pytest.mark.parametrize("kind, values, said", [
    ("csv", ("7.0", "3", "7"), "row 1: column 'label': '7.0' stands beside '7'"),
    ("csv", ("7", "3", "1E+03"), "row 3: column 'label': '1E+03' could be a number"),
    ("csv", ("7", "3", "1e3"), "row 3: column 'label': '1e3' could be a number"),
    ("jsonl", (7, 7.5, 3), "row 2: column 'label': expected the name of a class, got the number 7.5"),
    ("parquet", (7.0, 7.5, 3.0), "row 2: column 'label': expected the name of a class, got the number 7.5"),
    ("jsonl", (7, True, 3), "row 2: column 'label': expected the name of a class, got true"),
    ("parquet", (True, False, True), "row 1: column 'label': expected the name of a class, got true"),
    ("jsonl", (7, 1e300, 3), "row 2: column 'label': expected the name of a class, got the number 1e+300"),
    ("jsonl", (7, float("inf"), 3), "row 2: column 'label': expected the name of a class, got the number inf")])
def test_what_could_be_a_number_or_a_name_is_asked_for(tmp_path, runs, kind, values, said):
    assert f"l.{kind}: {said}" in runs.evaluate(*both(tmp_path, predictions("7", "3", "1"), labels(*values), kind), code=1)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_versions_as_floats(tmp_path, runs, kind):
    p = predictions("cat", "dog", prediction_id=[101, 102], model_version=[2.0, 2.0])
    l = labels("cat", "dog", prediction_id=[101.0, 102.0])  # noqa: E741
    document = runs.evaluate(*both(tmp_path, p, l, kind, kind))
    assert accuracy(document) == (1.0, 2)
    # The text 2.0 in CSV may well be the name of a version; the number 2.0 is 2.
    assert list(document["versions"]) == (["2.0"] if kind == "csv" else ["2"])


def test_ids_that_are_called_101_0_stay(tmp_path, runs):
    p = predictions("cat", "dog", "cat", prediction_id=["101.0", "102.0", "a"])
    document = runs.evaluate(*both(tmp_path, p, labels("cat", "dog", prediction_id=["101.0", "102.0"])))
    assert accuracy(document) == (1.0, 2) and document["import"]["labels"]["changed"] == []


def test_ids_that_a_sheet_has_shortened_are_refused(tmp_path, runs):
    path = put_csv(tmp_path / "p.csv", predictions("cat", prediction_id=["1.23457E+11"]))
    assert "row 1: column 'prediction_id': '1.23457E+11' could be an id or a number" in runs.evaluate(path, code=1)


# -- lists of one -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"choices": [x]}], ids=["list", "choices"])
def test_a_list_of_one_is_its_element(tmp_path, runs, kind, wrap):
    files = both(tmp_path, predictions("cat", "dog", "cat"), labels(*map(wrap, ("cat", "dog", "cat"))), kind)
    document = runs.evaluate(*files)
    assert accuracy(document) == (1.0, 3)
    assert [c["values"] for c in document["import"]["labels"]["changed"]] == [3] and "read as cat" in runs.said


@pytest.mark.parametrize("value", [["cat", "dog"], [], {"choices": ["cat", "dog"]}, {"other": "cat"}, [None]])
@pytest.mark.parametrize("kind", ["json", "csv"])
def test_of_several_or_none_it_is_asked_for(tmp_path, runs, kind, value):
    files = both(tmp_path, predictions("cat", "dog"), labels("cat", value), kind)
    assert "row 2: column 'label': expected the name of one class, got " in runs.evaluate(*files, code=1)


def test_names_that_look_like_lists(tmp_path, runs):
    files = both(tmp_path, predictions("[UNK]", "dog"), labels("[UNK]", "dog"))
    assert accuracy(runs.evaluate(*files)) == (1.0, 2)
    files = both(tmp_path, predictions("cat", "dog"), labels("['cat']", "dog"))  # as Python writes a list
    assert "row 1: column 'label': expected the name of one class" in runs.evaluate(*files, code=1)


# -- nobody labelled it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, missing", [("jsonl", NAN), ("jsonl", None), ("jsonl", ""), ("json", NAN), ("csv", ""),
                                           ("csv", "  "), ("parquet", None)])
def test_rows_without_a_label_are_counted_and_are_none(tmp_path, runs, kind, missing):
    files = both(tmp_path, predictions("cat", "dog", "cat", "dog"), labels("cat", "dog", missing, missing), kind)
    document = runs.evaluate(*files)
    assert accuracy(document) == (1.0, 2) and document["versions"]["1"]["predictions"] == 4
    assert (document["rows"]["labels"], document["rows"]["invalid"]) == (4, 2)
    assert document["import"]["labels"]["unlabelled"] == 2 and "l." + kind + ": 2 rows without a label" in runs.said
    runs.bring("predictions", files[0], "--model", "m", "--model-version", "1")
    brought = runs.bring("labels", files[1])
    assert (brought["rows"], brought["unlabelled"]) == (2, 2) and "2 rows without a label" in runs.said


def test_rows_without_a_key_label(tmp_path, runs):
    rows = labels("cat", "dog")
    del rows[1]["label"], rows[1]["labeler"], rows[1]["labeled_at"]
    assert accuracy(runs.evaluate(*both(tmp_path, predictions("cat", "dog"), rows, "jsonl"))) == (1.0, 1)


@pytest.mark.parametrize("word", ["nan", "N/A"])
def test_a_word_for_missing_may_be_a_class(tmp_path, runs, word):
    files = both(tmp_path, predictions(*P_NAMES), labels("cat", "dog", word, word))
    said = runs.evaluate(*files, code=1)
    assert f"l.csv: row 3: column 'label': {word!r} could be the name of a class or a missing value" in said
    assert f"--na-values {word} (not labelled)" in said
    settled = runs.evaluate(*files, "--na-values", word)
    assert accuracy(settled) == (1.0, 2) and settled["import"]["labels"]["unlabelled"] == 2
    assert accuracy(runs.evaluate(*files, "--na-values", "")) == (0.5, 4)
    assert f"labels that no prediction names: {word!r}" in runs.said
    predicted = put_csv(tmp_path / "p.csv", predictions("cat", "dog", word, "dog"))
    assert accuracy(runs.evaluate(predicted, files[1])) == (0.75, 4)
    assert f"{word} taken as the name of a class: 1 value of column predicted_label, first in row 3" in runs.said


# -- CSV ----------------------------------------------------------------------------------------------------------------


def test_a_comma_that_is_not_quoted(tmp_path, runs):
    p = put_csv(tmp_path / "p.csv", predictions("chair, folding", "chair", "table"))
    (tmp_path / "l.csv").write_text(f"prediction_id,labeler,labeled_at,label\na0,anna,{LATER},chair, folding\n"
                                    f"a1,anna,{LATER},chair\na2,anna,{LATER},table\n")
    said = runs.evaluate(p, tmp_path / "l.csv", code=1)
    assert "l.csv: row 1: expected 4 fields, got 5" in said and '"chair, folding"' in said
    assert "row 2" not in said
    document = runs.evaluate(p, tmp_path / "l.csv", "--skip-bad")
    assert accuracy(document) == (1.0, 2) and (document["rows"]["labels"], document["rows"]["invalid"]) == (3, 1)


def test_advice_names_the_command_that_was_given(tmp_path, runs):
    said = runs.evaluate(put_csv(tmp_path / "p.csv", [*predictions("cat"), {**predictions("cat", "cat")[1], "confidence": 7}]),
                         put_csv(tmp_path / "l.csv", labels("cat")), code=1)
    assert "`trueup evaluate --skip-bad`" in said and "trueup import" not in said
    (tmp_path / "none.csv").write_text(",".join(predictions("cat")[0]) + "\n")
    said = runs.evaluate(tmp_path / "none.csv", put_csv(tmp_path / "l.csv", labels("cat")), code=1)
    assert "none.csv: expected the predictions that" in said and "import them" not in said


@pytest.mark.parametrize("wrap, said", [
    (lambda rows: {"predictions": rows, "meta": {}}, "lists of objects ('predictions')"),
    (lambda rows: {k: {str(i): r[k] for i, r in enumerate(rows)} for k in rows[0]}, 'orient="records"'),
    (lambda rows: {k: [r[k] for r in rows] for k in rows[0]}, 'orient="records"'),
    (lambda rows: {"columns": list(rows[0]), "index": [0, 1], "data": [list(r.values()) for r in rows]}, 'orient="records"')])
@pytest.mark.parametrize("indent", [None, 1])
def test_one_object_that_holds_all_rows_is_said_to_be_one(tmp_path, runs, wrap, said, indent):
    (tmp_path / "p.json").write_text(json.dumps(wrap(predictions("cat", "dog")), indent=indent))
    message = runs.evaluate(tmp_path / "p.json", put_csv(tmp_path / "l.csv", labels("cat", "dog")), code=1)
    assert said in message and "rename" not in message


# -- encodings ----------------------------------------------------------------------------------------------------------

BEETLES = ("K\u00e4fer", "Schnecke", "K\u00e4fer")


@pytest.mark.parametrize("encoding, name", [("utf-8", None), ("utf-8-sig", None), ("utf-16", "UTF-16"), ("utf-32", "UTF-32")])
@pytest.mark.parametrize("write, ending", [(put_csv, "csv"), (put_lines, "jsonl")])
def test_what_a_byte_order_mark_names_is_read_and_said(tmp_path, runs, encoding, name, write, ending):
    p = write(tmp_path / f"p.{ending}", predictions(*BEETLES), encoding=encoding)
    document = runs.evaluate(p, put_csv(tmp_path / "l.csv", labels(*BEETLES)))
    assert accuracy(document) == (1.0, 3)
    changed = [c["what"] for c in document["import"]["predictions"]["changed"]]
    assert changed == ([f"read as {name}, which its byte order mark names"] if name else [])
    assert (f"read as {name}" in runs.said) == bool(name)


@pytest.mark.parametrize("write, ending, encoding", [(put_csv, "csv", "cp1252"), (put_lines, "jsonl", "latin-1")])
def test_other_encodings_are_asked_for(tmp_path, runs, write, ending, encoding):
    p = write(tmp_path / f"p.{ending}", predictions(*BEETLES), encoding=encoding)
    line = {"csv": 2, "jsonl": 1}[ending]
    said = runs.evaluate(p, code=1)
    at = p.read_bytes().index(b"\xe4")
    assert f"p.{ending}: line {line}: expected UTF-8, got the byte 0xe4 at byte {at} of the file" in said
    assert "--encoding NAME" in said
    document = runs.evaluate(p, "", "--encoding", encoding)
    assert {row["label"] for row in document["versions"]["1"]["per_class"]} == {"K\u00e4fer", "Schnecke"}
    assert "--encoding" in runs.said


def test_encodings_that_cannot_be(tmp_path, runs):
    p = put_csv(tmp_path / "p.csv", predictions(*BEETLES), encoding="utf-16")
    assert "begins with the byte order mark of UTF-16" in runs.evaluate(p, "", "--encoding", "cp1252", code=2)
    assert accuracy(runs.evaluate(p, put_csv(tmp_path / "l.csv", labels(*BEETLES), encoding="utf-16"),
                                  "--encoding", "utf-16")) == (1.0, 3)
    assert "expected the name of an encoding" in runs.evaluate(p, "", "--encoding", "klingon", code=2)
    assert "expected the name of an encoding" in runs.evaluate(p, "", "--encoding", "base64", code=2)
    p.write_bytes(p.read_bytes()[2:])  # without its mark
    assert "--encoding utf-16-le" in runs.evaluate(p, code=1)
    assert accuracy(runs.evaluate(p, put_csv(tmp_path / "l.csv", labels(*BEETLES)), "--encoding", "utf-16-le,utf-8"))[0] == 1


def test_one_encoding_for_two_files_spoils_neither(tmp_path, runs):
    p = put_csv(tmp_path / "p.csv", predictions(*BEETLES), encoding="cp1252")
    l = put_csv(tmp_path / "l.csv", labels(*BEETLES))  # noqa: E741
    assert "l.csv: can be read as cp1252 and as UTF-8" in runs.evaluate(p, l, "--encoding", "cp1252", code=1)
    assert accuracy(runs.evaluate(p, l, "--encoding", "cp1252,utf-8")) == (1.0, 3)


# -- spelling -----------------------------------------------------------------------------------------------------------

SPELLED = [(P_NUMBERS, ("7", "10", "7", "1"), "'7' (row 1; nearest: '007')"),
           (P_NAMES, ("Cat", "Dog", "Black Cat", "Dog"), "'Black Cat' (row 3; nearest: 'black cat')"),
           (P_NAMES, ("black_cat",) * 4, "'black_cat' (row 1; nearest: 'black cat')"),
           (P_NAMES, ("catt",) * 4, "'catt' (row 1; nearest: 'cat')"),
           (P_NAMES, ("0", "1", "2", "1"), "Numbers of classes instead of names?")]


@pytest.mark.parametrize("predicted, said, message, kind", [(*of, kind) for of, kind in zip(
    SPELLED, ("csv", "jsonl", "json", "parquet", "csv"), strict=True)])
def test_labels_that_name_no_class(tmp_path, runs, kind, predicted, said, message):
    files = both(tmp_path, predictions(*predicted), labels(*said), kind)
    for found in (runs.evaluate(*files, code=1), bring(runs, *files, code=1)):
        assert message in found and f"l.{kind}: column 'label': expected classes that were predicted" in found
        assert "--label-map FILE" in found and "--allow-other-labels" in found
    assert accuracy(runs.evaluate(*files, "--allow-other-labels"))[0] == 0
    assert "labels that no prediction names" in runs.said


def bring(runs, p, l=None, *options, code=0):  # noqa: E741
    runs.bring("predictions", p, "--model", "m", "--model-version", "1")
    return runs.bring("labels", l, *options, code=code) if l else None


def test_a_class_that_was_predicted_on_another_day_is_one(tmp_path, runs):
    """One label, and the model was wrong: no misspelling. What another model says is none of its classes."""
    two = predictions("cat", "dog", prediction_id=["a0", "a1"], predicted_at=["2026-11-17T09:00:00Z", "2026-11-18T09:00:00Z"])
    l = put_csv(tmp_path / "l.csv", labels("cat", prediction_id=["a1"]))  # noqa: E741
    assert bring(runs, put_csv(tmp_path / "p.csv", two), l)["rows"] == 1
    runs.bring("predictions", put_csv(tmp_path / "p.csv", predictions("day", prediction_id=["b"])), "--model", "n",
               "--model-version", "1")
    l = put_csv(tmp_path / "l.csv", labels("day", prediction_id=["a1"]))  # noqa: E741
    assert "('cat', 'dog'), got none of them: 'day' (row 1)" in runs.bring("labels", l, code=1)


@pytest.mark.parametrize("name, text", [
    ("m.csv", "label,class\n7,007\n10,010\n1,001\n"), ("m.csv", "7,007\n10,010\n1,001\n"),
    ("m.json", '{"7": "007", "10": "010", "1": "001"}'), ("m.json", '[["7", "007"], ["10", "010"], ["1", "001"]]'),
    ("m.json", '[{"label": "7", "class": "007"}, {"label": "10", "class": "010"}, {"label": "1", "class": "001"}]')])
def test_labels_are_mapped_by_a_file_of_pairs(tmp_path, runs, name, text):
    (tmp_path / name).write_text(text)
    files = both(tmp_path, predictions(*P_NUMBERS), labels("7", "10", "7", "1"))
    document = runs.evaluate(*files, "--label-map", str(tmp_path / name))
    assert accuracy(document) == (1.0, 4)
    assert {c["what"]: c["values"] for c in document["import"]["labels"]["changed"]} == {
        "7 mapped to 007": 2, "10 mapped to 010": 1, "1 mapped to 001": 1}
    assert runs.said.count("mapped to") == 3
    assert bring(runs, *files, "--label-map", str(tmp_path / name))["changed"] == document["import"]["labels"]["changed"]


def test_what_the_map_leaves_out_stays(tmp_path, runs):
    (tmp_path / "m.csv").write_text("Cat,cat\ntrue,dog\n")
    files = both(tmp_path, predictions("cat", "dog", "dog"), labels("Cat", "dog", True), "jsonl")
    assert accuracy(runs.evaluate(*files, "--label-map", str(tmp_path / "m.csv"))) == (1.0, 3)


@pytest.mark.parametrize("text, message", [
    ("a,b,c\n", "pair 1: expected label,class"), ("a,b\na,c\n", "'a' stands for 'b' and for 'c'"),
    ("a,\n", "pair 1: expected a label of 1 to 200"), ("\"a", "expected CSV of two columns")])
def test_maps_that_cannot_be_used(tmp_path, runs, text, message):
    (tmp_path / "m.csv").write_text(text)
    files = both(tmp_path, predictions("b"), labels("a"))
    assert message in runs.evaluate(*files, "--label-map", str(tmp_path / "m.csv"), code=2)


def test_a_label_among_others_that_no_prediction_names_is_said(tmp_path, runs):
    document = runs.evaluate(*both(tmp_path, predictions("cat", "dog"), labels("Cat", "dog")))
    assert accuracy(document) == (0.5, 2) and document["import"]["labels"]["other_labels"] == {"Cat": "cat"}
    assert "labels that no prediction names: 'Cat' (nearest: 'cat')" in runs.said


@pytest.mark.parametrize("kind", KINDS)
def test_a_space_without_width_is_named_with_its_row_and_column(tmp_path, runs, kind):
    files = both(tmp_path, predictions("cat", "dog"), labels("cat", "dog\u200b"), kind)
    said = runs.evaluate(*files, code=1)
    assert f"l.{kind}: row 2: column 'label': the label holds a character that is not seen: U+200B" in said


# -- one class, roles, ids that match nothing -----------------------------------------------------------------------------


def test_one_class_has_intervals_of_some_width(tmp_path, whole_runs):
    (version,) = whole_runs.evaluate(*both(tmp_path, predictions(*["ok"] * 40), labels(*["ok"] * 40)))["versions"].values()
    figures = [version["accuracy"], version["estimate"], version["balanced_accuracy"],
               *(version[kind][score] for kind in ("macro", "weighted") for score in ("precision", "recall", "f1")),
               *(row[score] for row in version["per_class"] for score in ("precision", "recall", "f1"))]
    assert len(figures) == 12 and version["top_k"][0]["value"] is None, "the files say one answer each"
    for figure in figures:
        assert figure["low"] < 0.96 < figure["value"] == figure["high"] == 1


def test_roles_of_other_words_are_counted_and_named(tmp_path, whole_runs, caplog):
    files = both(tmp_path, predictions("cat", "dog", role=["Live", "live"]), labels("cat", "dog"))
    assert accuracy(whole_runs.evaluate(*files)) == (1.0, 2)
    put_csv(files[0], predictions("cat", "dog", role=["production"] * 2))
    document = whole_runs.evaluate(*files)
    assert document["rows"]["unknown_role"] == 2 and document["reason"] == "no data"
    assert "role 'production' on 2 rows" in caplog.text and "{production: live}" in caplog.text
    assert accuracy(whole_runs.evaluate(*files, "--set", "evaluate.roles={production: live}")) == (1.0, 2)


@pytest.mark.parametrize("other", ["elsewhere", "019e1234-5678-7abc-8def-0123456789ab"])
def test_labels_of_other_predictions_are_orphans(tmp_path, whole_runs, other):
    document = whole_runs.evaluate(*both(tmp_path, predictions("cat", "dog"), labels("cat", "dog", prediction_id=["a0", other])))
    assert accuracy(document) == (1.0, 1) and (document["rows"]["labels"], document["rows"]["orphan"]) == (2, 1)
    assert document["import"]["labels"]["left_out"] == {"orphan": 1}


def test_labels_of_no_prediction_at_all(tmp_path, runs):
    files = both(tmp_path, predictions("cat", "dog"), labels("cat", "dog", prediction_id=["A0", "A1"]))
    said = runs.evaluate(*files, code=1)
    assert "l.csv: row 1: column 'prediction_id': expected ids of" in said and "'A0'" in said and "'a0'" in said


def test_a_day_of_predictions_imported_after_another_keeps_its_classes(tmp_path, runs):
    """Classes called 4.0 and 4.5: a day on which only whole ones were predicted does not rename them."""
    old, new = predictions("4.0", "4.5"), predictions("4.0", "5.0", prediction_id=["b0", "b1"], predicted_at=[LATER, LATER])
    runs.bring("predictions", put_csv(tmp_path / "old.csv", old), "--model", "m", "--model-version", "1")
    said = runs.bring("predictions", put_csv(tmp_path / "new.csv", new), "--model", "m", "--model-version", "1")
    assert said["changed"] == []
