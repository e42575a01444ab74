"""A label belongs to the newest prediction of its id that is not later than it; where nothing decides, it is an error."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import clock, layout
from jobs import evaluate
from jobs.imports.placing.place import Undecided, choose_day
from jobs.imports.placing.predicted import Predicted
from tests.jobs.imports.bring import COLUMNS, SAID, accuracy, bring, labels_of, put
from tests.jobs.stored_rows import read_rows

UUID = "019e1234-5678-7abc-8def-0123456789ab"  # of 2026-05-10
IMAGES = [f"img{n:03}.jpg" for n in range(10)]


def scored_every_day(tmp_path):
    """File names as ids: all cat on the 17th, all dog on the 18th; labels of the 17th say cat."""
    lines = [f"{i},2026-11-{day}T{n:02}:00:00Z,m,1,{said},.9" for day, said in (("17", "cat"), ("18", "dog"))
             for n, i in enumerate(IMAGES)]
    return (put(tmp_path / "p.csv", lines, COLUMNS),
            put(tmp_path / "l.csv", [f"{i},cat,anna,2026-11-17T20:00:00Z" for i in IMAGES], SAID))


def test_ids_that_come_again_next_day(tmp_path, tmp_root, capsys):
    p, labels = scored_every_day(tmp_path)
    document, found = accuracy(capsys, "--predictions", p, "--labels", labels)
    assert found["1"] == (10, 1.0) and document["rows"]["orphan"] == 0
    assert bring(tmp_root, "predictions", p) == 0 and bring(tmp_root, "labels", labels) == 0
    assert labels_of(tmp_root) == [(i, "2026-11-17", "cat") for i in IMAGES]


def one_day_each(tmp_path, root, *moments, model="m"):
    """The id `x`, predicted at each of these moments; returns the exit code."""
    lines = [f"{i},{at},{model},1,{said},.9" for at, answer in zip(moments, ("cat", "dog"), strict=False)
             for i, said in (("x", answer), ("y", "cat"))]
    return bring(root, "predictions", put(tmp_path / f"p-{model}.csv", lines, COLUMNS))


def label(tmp_path, root, at, *options, **columns):
    path = put(tmp_path / "l.csv", [",".join(["x,cat,anna", at, *columns.values()])], ",".join([SAID, *columns]))
    return bring(root, "labels", path, *options)


DAYS = ("2026-11-17T10:00:00Z", "2026-11-18T10:00:00Z")


@pytest.mark.parametrize("at, options, columns, day", [
    ("2026-11-17T10:00:00Z", (), {}, "17"),  # the very moment
    ("2026-11-18T09:59:59Z", (), {}, "17"),
    ("2026-11-18T10:00:00Z", (), {}, "18"),
    ("2026-11-25T00:00:00Z", (), {}, "18"),
    ("2026-11-25T00:00:00Z", (), {"dt": "2026-11-17"}, "17"),  # of the prediction's day
    ("2026-11-25T00:00:00Z", (), {"dt": "2026-11-25"}, "18"),  # of the label's own day
    ("2026-11-17T12:00:00Z", (), {"dt": "2026-11-18"}, "17"),  # nothing was predicted on it yet
    ("2026-11-17T12:00:00Z", (), {"dt": "17.11.2026"}, "17"),
    ("2026-11-25T00:00:00Z", ("--day", "2026-11-17"), {}, "17"),
    ("2026-11-25T00:00:00Z", ("--day", "2026-11-17"), {"dt": "2026-11-25"}, "17"),
    ("2026-11-01T00:00:00Z", ("--day", "2026-11-18"), {}, "18"),
    ("2026-11-01T00:00:00Z", (), {"dt": "2026-11-18"}, "18"),
])
def test_what_says_the_day(tmp_path, tmp_root, capsys, at, options, columns, day):
    one_day_each(tmp_path, tmp_root, *DAYS)
    assert label(tmp_path, tmp_root, at, *options, **columns) == 0
    assert labels_of(tmp_root) == [("x", f"2026-11-{day}", "cat")]
    named = columns.get("dt") or (options[1] if options else None)
    said = "1 row with another day than its prediction has" in capsys.readouterr().err
    assert said == (named not in (None, f"2026-11-{day}"))


def test_earlier_than_the_only_prediction_is_of_it_and_than_several_of_none(tmp_path, tmp_root, capsys):
    one_day_each(tmp_path, tmp_root, DAYS[0])
    assert label(tmp_path, tmp_root, "2026-11-01") == 0 and labels_of(tmp_root) == [("x", "2026-11-17", "cat")]
    one_day_each(tmp_path, tmp_root, *DAYS)
    assert label(tmp_path, tmp_root, "2026-11-02") == 1
    said = capsys.readouterr().err
    assert "l.csv: row 1: the predictions 'x' of 2026-11-17, 2026-11-18 are all later than the label" in said
    assert "a column dt or by `trueup import labels --day`" in said and len(labels_of(tmp_root)) == 1


def test_the_same_moment_on_two_days_decides_nothing(tmp_path, tmp_root, capsys):
    lines = [f"x,2026-11-17T10:00:00Z,m,1,cat,.9,{day}" for day in ("2026-11-17", "2026-11-18")]
    bring(tmp_root, "predictions", put(tmp_path / "p.csv", lines, COLUMNS + ",dt"))
    assert label(tmp_path, tmp_root, "2026-11-20") == 1
    assert "of 2026-11-17, 2026-11-18 were made at the same moment" in capsys.readouterr().err
    assert label(tmp_path, tmp_root, "2026-11-20", dt="2026-11-18") == 0
    assert labels_of(tmp_root) == [("x", "2026-11-18", "cat")]


def test_labels_reach_the_one_model_that_they_are_of(tmp_path, tmp_root, capsys):
    one_day_each(tmp_path, tmp_root, DAYS[0], model="A")
    one_day_each(tmp_path, tmp_root, DAYS[1], model="B")
    assert label(tmp_path, tmp_root, "2026-11-19") == 1
    assert "row 1: the root's predictions of this id are of 'A', 'B': say which model" in capsys.readouterr().err
    assert label(tmp_path, tmp_root, "2026-11-19", "--model", "C") == 1
    assert "the label is of the model 'C'" in capsys.readouterr().err and labels_of(tmp_root) == []
    assert label(tmp_path, tmp_root, "2026-11-19", "--model", "A") == 0
    assert labels_of(tmp_root) == [("x", "2026-11-17", "cat")]
    assert accuracy(capsys, "--root", tmp_root, "--model", "A")[1] == {"1": (1, 1.0)}
    assert accuracy(capsys, "--root", tmp_root, "--model", "B")[1] == {"1": (0, None)}
    assert label(tmp_path, tmp_root, "2026-11-19T01:00:00Z", model="B") == 0
    assert {day for _, day, _ in labels_of(tmp_root)} == {"2026-11-17", "2026-11-18"}


def test_two_models_in_one_file(tmp_path, capsys):
    lines = [f"x,2026-11-17T0{n}:00:00Z,{model},1,{said},.9" for n, (model, said) in enumerate((("A", "cat"), ("B", "day")))]
    lines[1] = lines[1].replace("-17T", "-18T")
    p = put(tmp_path / "p.csv", lines, COLUMNS)
    both = put(tmp_path / "l.csv", ["x,cat,anna,2026-11-19"], SAID)
    assert evaluate.main(["--predictions", str(p), "--labels", str(both)]) == 1
    assert "are of 'A', 'B': say which model" in capsys.readouterr().err
    assert accuracy(capsys, "--predictions", p, "--labels", both, "--model", "A")[1] == {"1": (1, 1.0)}


def test_rows_that_never_count_are_no_predictions(tmp_path, tmp_root, capsys):
    """Written by others: a row without a model a day later, and a file that is none."""
    one_day_each(tmp_path, tmp_root, DAYS[0])
    folder = tmp_path / "root" / layout.day_folder("predictions", "2026-11-18")
    folder.mkdir()
    pq.write_table(pa.table({"prediction_id": ["x"], "predicted_at": [clock.parse_moment(DAYS[1])], "model": [""],
                             "model_version": ["1"], "predicted_label": ["cat"], "confidence": [0.9]}), folder / "a.parquet")
    assert label(tmp_path, tmp_root, "2026-11-20") == 0 and labels_of(tmp_root) == [("x", "2026-11-17", "cat")]
    (folder / "b.parquet").write_bytes(b"no")
    assert one_day_each(tmp_path, tmp_root, DAYS[1], model="n") == 0
    assert "cannot be read, so its ids were not looked at: predictions/dt=2026-11-18/b.parquet" in capsys.readouterr().err


def test_a_live_prediction_goes_before_a_shadow_of_a_later_day(tmp_path, tmp_root):
    lines = ["x,2026-11-17T10:00:00Z,m,1,cat,.9,", "x,2026-11-18T10:00:00Z,m,2,dog,.9,Shadow"]
    bring(tmp_root, "predictions", put(tmp_path / "p.csv", lines, COLUMNS + ",role"))
    assert label(tmp_path, tmp_root, "2026-11-20") == 0 and labels_of(tmp_root) == [("x", "2026-11-17", "cat")]


@pytest.mark.parametrize("table, line, header", [("labels", f"{UUID},cat,anna,2026-05-12,2026-05-12", SAID),
                                                 ("predictions", f"{UUID},2026-05-10,m,1,cat,.9,2026-05-11", COLUMNS)])
def test_the_day_of_an_id_goes_before_dt(tmp_path, tmp_root, capsys, table, line, header):
    assert bring(tmp_root, table, put(tmp_path / "t.csv", [line], header + ",dt")) == 0
    assert [r["day"] for r in read_rows(tmp_root, table)] == ["2026-05-10"]
    said = capsys.readouterr().err
    assert said.count("1 row with another day than its prediction has") == 1 and "t.csv: row 1: dt '2026-05-1" in said


@pytest.mark.parametrize("ids, said", [
    (["img000", "img001"], "'img000' (nearest: 'img000.jpg')"),
    (["s3://b/in/IMG001.jpg"], "'s3://b/in/IMG001.jpg' (nearest: 'img001.jpg')"),
    (["4711"], "'4711' (the root has for example 'img"),
])
def test_labels_without_any_prediction_name_the_nearest_ids(tmp_path, tmp_root, capsys, ids, said):
    bring(tmp_root, "predictions", scored_every_day(tmp_path)[0])
    assert bring(tmp_root, "labels", put(tmp_path / "l.csv", [f"{i},cat,anna,2026-11-19" for i in ids], SAID)) == 1
    message = capsys.readouterr().err
    rows_of = f"expected ids of the predictions, got none of them in {len(ids)} row{'s' if len(ids) > 1 else ''}: "
    assert f"l.csv: row 1: column 'prediction_id': {rows_of}{said}" in message


def test_labels_of_no_prediction_among_others_are_counted_in_an_evaluation(tmp_path, tmp_root, capsys):
    p, labels = scored_every_day(tmp_path)
    others = [f"{i},cat,anna,2026-11-17T20:00:00Z" for i in ("nobody.jpg", UUID)]
    put(labels, [*labels.read_text().splitlines(), *others])
    assert accuracy(capsys, "--predictions", p, "--labels", labels)[1]["1"] == (10, 1.0)
    assert evaluate.main(["--predictions", str(p), "--labels", str(labels)]) == 0
    said = capsys.readouterr().err
    assert f"{labels}: 2 " in said and "of no prediction" in said
    bring(tmp_root, "predictions", p)
    assert bring(tmp_root, "labels", labels) == 1
    assert "l.csv: row 11: no prediction 'nobody.jpg' in the root" in capsys.readouterr().err and labels_of(tmp_root) == []


def made(rng):
    day = rng.randrange(17, 21)
    at = clock.to_us(clock.parse_moment(f"2026-11-{day}T{rng.randrange(3):02}:00:00Z"))
    lies = f"2026-11-{day + (rng.random() < 0.1):02}"  # a partition by local days
    return Predicted("x", lies, at, "m", "1", rng.choice("ab"), None, "live")


def place_naively(at, known):
    """The sentence, word for word: None where it does not decide, or where the answer is not the one that counts."""
    not_later = [p for p in known if p.at <= at]
    if not_later:
        newest = [p for p in not_later if all(p.at >= q.at for q in not_later)]
        days = {p.day for p in newest}
    else:
        newest, days = known, {p.day for p in known}
    if len(days) > 1:
        return None
    day = days.pop()
    counted = sorted((p.at, p.version, p.label) for p in known if p.day == day)[0]
    return day if all(p.label == counted[2] for p in newest if p.day == day) else None


def test_random_predictions_and_labels_against_the_sentence():
    rng = random.Random(8)
    undecided = 0
    for _ in range(4000):
        known = [made(rng) for _ in range(rng.randrange(1, 6))]
        at = clock.to_us(clock.parse_moment(f"2026-11-{rng.randrange(15, 23)}T{rng.randrange(3):02}:00:00Z"))
        expected = place_naively(at, known)
        try:
            found = choose_day(at, known, None, None)
        except Undecided:
            found, undecided = None, undecided + 1
        assert found == expected, (at, known)
    assert 200 < undecided < 2000  # both ways are tried


def test_random_files_against_the_sentence(tmp_path, tmp_root, capsys):
    rng = random.Random(20)
    predicted = {(f"i{rng.randrange(30)}", f"2026-11-{rng.randrange(16, 21)}", rng.randrange(24)) for _ in range(120)}
    put(tmp_path / "p.csv", [f"{i},{day}T{hour:02}:00:00Z,m,1,cat,.9" for i, day, hour in sorted(predicted)], COLUMNS)
    said = {(f"i{rng.randrange(30)}", f"2026-11-{rng.randrange(15, 23)}T{rng.randrange(24):02}:00:00Z") for _ in range(200)}
    lines = sorted(said)
    put(tmp_path / "l.csv", [f"{i},cat,ann,{at}" for i, at in lines], SAID)
    expected, undecided = [], 0
    for i, at in lines:
        times = [f"{day}T{hour:02}:00:00Z" for j, day, hour in predicted if i == j]
        earlier = [t for t in times if t <= at]
        days = {max(earlier)[:10]} if earlier else {t[:10] for t in times}
        expected += [(i, *days, "cat")] if len(days) == 1 else []
        undecided += len(days) != 1
    assert bring(tmp_root, "predictions", tmp_path / "p.csv") == 0
    assert bring(tmp_root, "labels", tmp_path / "l.csv") == 1
    assert bring(tmp_root, "labels", tmp_path / "l.csv", "--skip-bad") == 0
    assert f"{len(expected)} labels in " in (out := capsys.readouterr().out) and f"{undecided} rows left out" in out
    assert undecided > 5 and labels_of(tmp_root) == sorted(expected)
