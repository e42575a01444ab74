"""`trueup gate --what-if` against evaluating and judging every day by itself."""

import json
import random
from datetime import date, timedelta

import pytest

from contract import clock
from contract.records import LABEL, PREDICTION
from contract.storage import open_storage
from jobs import evaluate
from pipeline import gate
from tests.pipeline.roots import MODEL, make_root, put_rows, rows

LAST = clock.day_of(clock.now() - timedelta(days=2))
DAYS = [(date.fromisoformat(LAST) - timedelta(days=n)).isoformat() for n in range(7, -1, -1)]


def run(capsys, main, *options, codes=(0, 3, 4)):
    capsys.readouterr()
    assert main([*options, "--json"]) in codes
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def root(tmp_root):
    """A model that gets worse; the labels of a day come on that day, the next, and the one after. The first days are judged."""
    rng = random.Random(1)
    for i, day in enumerate(DAYS):
        make_root(tmp_root, right=190 if i < 4 else 150, n=200, day=day)
        predictions, labels = rows(200, 190 if i < 4 else 150, 200, day)
        for row in labels:
            row["recorded_at"] = row["labeled_at"] + timedelta(days=rng.randrange(3))
        put_rows(open_storage(tmp_root), PREDICTION, "predictions", predictions, day, "1")
        put_rows(open_storage(tmp_root), LABEL, "labels", labels, day, "1")
    return tmp_root


def write_policy(tmp_path, text):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return str(path)


def judge_by_itself(capsys, root, day, *options):
    """The decision of an evaluation at the last moment of a day."""
    made = run(capsys, evaluate.main, "--root", root, "--model", MODEL, "--as-of", day, "--no-report", *options)
    return run(capsys, gate.main, "--root", root, "--model", MODEL, "--evaluation", made["id"], "--dry-run", *options)


POLICY = "gates:\n  window_days: [2, 4]\n  min_accuracy: 0.85\n  min_class_recall: 0.8\n"
AS_OPTIONS = ("--set", "gates.window_days=[2,4]", "--set", "gates.min_accuracy=0.85", "--set", "gates.min_class_recall=0.8")


def test_each_day_says_what_evaluating_and_judging_it_would(capsys, root, tmp_path):
    for day in DAYS[1:4]:  # some days were judged, by the policy of then
        run(capsys, evaluate.main, "--root", root, "--model", MODEL, "--as-of", f"{day}T20:00:00Z", "--no-report")
        run(capsys, gate.main, "--root", root, "--model", MODEL)
    span = ("--from", DAYS[0], "--to", DAYS[-1])
    found = run(capsys, gate.main, "--root", root, "--model", MODEL, "--what-if", write_policy(tmp_path, POLICY), *span)
    assert [day["day"] for day in found["days"]] == DAYS
    assert [day["judged"] for day in found["days"]] == [False, True, True, True, False, False, False, False]
    assert len({day["would"]["verdict"] for day in found["days"]}) == 3, "the days must not all be alike"
    for row in found["days"]:
        ours = judge_by_itself(capsys, root, row["as_of"])
        other = judge_by_itself(capsys, root, row["as_of"], *AS_OPTIONS)
        assert (row["said"]["verdict"], row["would"]["verdict"]) == (ours["verdict"], other["verdict"]), row["day"]
        accuracy = {g.get("days"): (g["n"], g["value"]) for g in other["gates"] if g["gate"] == "accuracy"}
        assert {g.get("days"): (g["n"], g["value"]) for g in row["gates"] if g["gate"] == "accuracy"} == accuracy
        assert row["would"]["reasons"] == other["reasons"], row["day"]
        assert row["judged"] or row["said"]["reasons"] == ours["reasons"], row["day"]
        assert row["differs"] == (ours["verdict"] != other["verdict"])
    assert found["differ"] == [row["day"] for row in found["days"] if row["differs"]] != []
    assert found["changed"]["min_accuracy"] == [0.9, 0.85] and found["summary"]["would"]["fail"] >= 1


def test_the_policy_of_then_says_what_it_said_whatever_came_later(capsys, root, tmp_path):
    for day in DAYS[2:6]:
        run(capsys, evaluate.main, "--root", root, "--model", MODEL, "--as-of", f"{day}T20:00:00Z", "--no-report")
        run(capsys, gate.main, "--root", root, "--model", MODEL)
    make_root(root, right=0, n=300, day=DAYS[3])  # imported much later, without a moment of its own
    same = write_policy(tmp_path, "{}\n")
    found = run(capsys, gate.main, "--root", root, "--model", MODEL, "--what-if", same, "--from", DAYS[2], "--to", DAYS[5])
    assert found["differ"] == [] and all(day["judged"] and day["would"] == day["said"] for day in found["days"])


def test_a_bound_that_rests_on_whole_tables_is_judged_too(capsys, root, tmp_path):
    policy = write_policy(tmp_path, "gates: {max_calibration_error: 0.01, min_accuracy: null, min_class_recall: null}\n")
    found = run(capsys, gate.main, "--root", root, "--model", MODEL, "--what-if", policy, "--from", DAYS[6], "--to", DAYS[7])
    assert [[g["gate"] for g in day["gates"]] for day in found["days"]] == [["calibration", "freshness"]] * 2
    assert found["days"][-1]["would"]["verdict"] == "fail"


def test_what_mistakes_cost_is_judged_as_the_gate_would(capsys, root, tmp_path):
    policy = write_policy(tmp_path, "gates: {max_cost_per_1000: 300, default_cost: 2}\n")
    found = run(capsys, gate.main, "--root", root, "--model", MODEL, "--what-if", policy, "--from", DAYS[3], "--to", DAYS[5])
    as_options = ("--set", "gates.max_cost_per_1000=300", "--set", "gates.default_cost=2")
    assert [row["day"] for row in found["days"]] == DAYS[3:6]
    for row in found["days"]:
        theirs = [g for g in judge_by_itself(capsys, root, row["as_of"], *as_options)["gates"] if g["gate"] == "cost"]
        ours = [g for g in row["gates"] if g["gate"] == "cost"]
        assert len(ours) == 1
        assert [(g["verdict"], g["value"], g["n"]) for g in ours] == [(g["verdict"], g["value"], g["n"]) for g in theirs]


def test_text_names_the_days_that_differ(capsys, root, tmp_path):
    assert gate.main(["--root", root, "--model", MODEL, "--what-if", write_policy(tmp_path, "min_accuracy: 0.5\n"),
                      "--from", DAYS[4], "--to", DAYS[7]]) == 0
    said = capsys.readouterr().out
    assert "min_accuracy 0.9 -> 0.5" in said and "it would have said something else: " in said
    assert "4 days had no decision" in said


@pytest.mark.parametrize(("text", "options", "error"), [
    ("min_acuracy: 0.9\n", (), "min_acuracy"), ("gates: {min_accuracy: 2}\n", (), "min_accuracy"),
    ("gates: {}\nserve: {}\n", (), "expected the section gates: alone"), ("min_new_labels: null\n", (), "expected a value"),
    ("{}\n", ("--from", "2026-11-20", "--to", "2026-11-19"), "Swap them"), ("{}\n", ("--dry-run",), "expected none of")])
def test_what_cannot_be_is_refused(capsys, tmp_root, tmp_path, text, options, error):
    make_root(tmp_root, right=9, n=10)
    given = ("--root", tmp_root, "--model", MODEL, "--what-if", write_policy(tmp_path, text), *options)
    made = run(capsys, gate.main, *given, codes=(2,))
    assert error in made["error"]["message"]


def test_a_range_without_a_policy_is_refused(capsys, tmp_root):
    make_root(tmp_root, right=9, n=10)
    made = run(capsys, gate.main, "--root", tmp_root, "--model", MODEL, "--from", LAST, codes=(2,))
    assert "for --what-if" in made["error"]["message"]
