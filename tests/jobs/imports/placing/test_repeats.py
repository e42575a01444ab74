"""Of an id one prediction a day counts: what would be lost is an error that names it, a repeat of an answer is said."""

import json

import pytest

from contract import layout
from contract.storage import open_root
from jobs import evaluate
from tests.jobs.imports.bring import COLUMNS, SAID, accuracy, bring, labels_of, put
from tests.jobs.stored_rows import read_rows


def two_versions(tmp_path):
    """Both scored img0 to img7, all cats: version 1 has five right, version 2 all."""
    lines = [f"img{n},2026-11-18T0{n}:00:00Z,m,{v},{'dog' if v == 1 and n > 4 else 'cat'},.9" for v in (1, 2) for n in range(8)]
    return (put(tmp_path / "p.csv", lines, COLUMNS),
            put(tmp_path / "l.csv", [f"img{n},cat,anna,2026-11-19T20:00:00Z" for n in range(8)], SAID))


def test_two_versions_that_scored_the_same_ids(tmp_path, tmp_root, capsys):
    p, labels = two_versions(tmp_path)
    assert evaluate.main(["--predictions", str(p), "--labels", str(labels)]) == 1
    said = capsys.readouterr().err
    assert "version '2' of 'm' would not be counted: 8 of its predictions have ids that version '1' of 'm' has" in said
    assert "p.csv: row 9: 'img0'" in said and "--id-per-version" in said
    _, found = accuracy(capsys, "--predictions", p, "--labels", labels, "--id-per-version")
    assert found == {"1": (8, 0.625), "2": (8, 1.0)}
    assert bring(tmp_root, "predictions", p) == 1 and read_rows(tmp_root, "predictions") == []
    for table, path in (("predictions", p), ("labels", labels)):
        assert bring(tmp_root, table, path, "--id-per-version") == 0
    assert len(labels_of(tmp_root)) == 16 and labels_of(tmp_root)[0] == ("img0@m@1", "2026-11-18", "cat")
    assert bring(tmp_root, "labels", labels) == 1
    assert "give it here, too" in capsys.readouterr().err


def test_a_second_version_or_model_of_a_later_import(tmp_path, tmp_root, capsys):
    for v, model, lost in ((1, "m", None), (2, "m", "version '2' of 'm'"), (1, "other", "version '1' of 'other'")):
        path = put(tmp_path / f"{model}{v}.csv", [f"img{n},2026-11-18T0{n}:00:00Z,{model},{v},cat,.9" for n in range(3)], COLUMNS)
        assert bring(tmp_root, "predictions", path) == (1 if lost else 0)
        said = capsys.readouterr().err
        assert not lost or f"{lost} would not be counted" in said and "(in the root)" in said
    assert bring(tmp_root, "predictions", tmp_path / "m1.csv") == 0  # the same file again changes nothing
    assert capsys.readouterr().err == "" and len(read_rows(tmp_root, "predictions")) == 3


def test_versions_apart_beside_rows_that_came_before(tmp_path, tmp_root, capsys):
    for model, options in (("A", ()), ("B", ("--id-per-version",))):
        path = put(tmp_path / f"{model}.csv", [f"x,2026-11-18,{model},1,cat,.9"], COLUMNS)
        assert bring(tmp_root, "predictions", path, *options) == 0
    labels = put(tmp_path / "l.csv", ["x,cat,anna,2026-11-19"], SAID)
    assert bring(tmp_root, "labels", labels, "--id-per-version") == 1
    assert "are of 'A', 'B': say which model" in capsys.readouterr().err
    for model, found in (("A", "x"), ("B", "x@B@1")):
        assert bring(tmp_root, "labels", labels, "--id-per-version", "--model", model) == 0
        assert (found, "2026-11-18", "cat") in labels_of(tmp_root)


def test_another_role_is_no_repeat(tmp_path, tmp_root):
    lines = ["a,2026-11-18,m,1,cat,.9,", "a,2026-11-18,m,2,dog,.9,shadow"]
    assert bring(tmp_root, "predictions", put(tmp_path / "p.csv", lines, COLUMNS + ",role")) == 0
    assert len(read_rows(tmp_root, "predictions")) == 2


def test_the_same_answer_again_is_named_and_another_one_refused(tmp_path, tmp_root, capsys):
    line = "a,2026-11-18T0{}:00:00Z,m,1,{},.9"
    path = put(tmp_path / "p.csv", [line.format(5, "cat"), line.format(3, "cat"), "b,2026-11-18,m,1,dog,.9"], COLUMNS)
    assert bring(tmp_root, "predictions", path, "--json") == 0
    out, err = capsys.readouterr()
    said = "1 repeat of an id on its day with the same answer"
    assert said in err and said in json.loads(out)["notes"][0] and "row 1: 'a' on 2026-11-18" in err
    path = put(tmp_path / "q.csv", [line.format(5, "dog"), line.format(3, "elk")], COLUMNS)
    assert bring(tmp_root, "predictions", path) == 1
    said = capsys.readouterr().err
    assert "q.csv: row 1: 'a' of version '1' of 'm' said 'dog' at 2026-11-18T05" in said and "in the root" in said


@pytest.mark.parametrize("at, code", [("2026-11-18T04:00:00Z", 0), ("2026-11-18T06:00:00Z", 1)])
def test_a_label_of_an_answer_that_does_not_count(tmp_path, tmp_root, capsys, at, code):
    """Two answers under one id and day came into the root by another way than the import."""
    for hour, said in ((3, "cat"), (5, "dog")):
        lines = [f"a,2026-11-18T0{hour}:00:00Z,m,1,{said},.9", f"{said},2026-11-18,m,1,cat,.9"]
        path = put(tmp_path / f"{said}.csv", lines, COLUMNS)
        bring(f"{tmp_root}-{said}", "predictions", path)
    target = open_root(tmp_root, create=True)
    for said in ("cat", "dog"):
        source = open_root(f"{tmp_root}-{said}")
        for entry in source.list(layout.table_folder("predictions")):
            target.put(entry.key, source.read(entry.key))
    assert bring(tmp_root, "labels", put(tmp_path / "l.csv", [f"a,cat,anna,{at}"], SAID)) == code
    assert code == 0 or "'a' has two answers on 2026-11-18, 'cat' at" in capsys.readouterr().err


def test_wrong_judges_one_version_alone(tmp_path, tmp_root, capsys):
    p, _ = two_versions(tmp_path)
    bring(tmp_root, "predictions", p, "--id-per-version")
    labels = put(tmp_path / "l.csv", ["img0,≠,anna,2026-11-19"], SAID)
    assert bring(tmp_root, "labels", labels, "--id-per-version") == 1
    assert "judges the answer that was shown" in capsys.readouterr().err
    labels = put(tmp_path / "l.csv", ["img0,≠,anna,2026-11-19,2"], SAID + ",model_version")
    assert bring(tmp_root, "labels", labels, "--id-per-version") == 0
    assert labels_of(tmp_root) == [("img0@m@2", "2026-11-18", "≠")]
