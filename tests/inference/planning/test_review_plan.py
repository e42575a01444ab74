"""`trueup review plan` from earlier labels to an audit whose weighted figures can be believed."""

import json

import pytest

from contract import samples
from contract.evaluations import newest, read_evaluation
from contract.storage import open_root
from inference import review
from inference.labelling.items import count_cells
from tests.inference.planning.planned_root import DAYS, MODEL, make_root, run_evaluate

DAY = DAYS[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("planned") / "root")
    return root, make_root(root)


def plan(root, capsys, *options, code=0, budget=200, day=("--day", DAY)):
    capsys.readouterr()
    assert review.main(["plan", "--root", root, "--model", MODEL, "--budget", str(budget), "--json", *day, *options]) == code
    return json.loads(capsys.readouterr().out)


def test_a_plan_asks_for_what_the_gate_cannot_tell_and_writes_nothing_when_dry(made, capsys):
    found = plan(made[0], capsys, "--dry-run")
    assert (found["towards"], found["gate"], found["actual"]) == ("overall", "accuracy", None)
    assert found["why"] == "the newest decision cannot tell it" and found["earlier_labels"] > 200
    assert found["expected"] == pytest.approx(200, rel=1e-6) and found["kish"] >= 100
    assert samples.read(open_root(made[0]), MODEL, DAY, "audit") is None


def test_what_is_right_or_wrong_by_a_coin_is_asked_most(made, capsys):
    """p is in proportion to sqrt(r(1-r) + (r-R)^2): it falls from the least confident cells to the surest ones."""
    rows = plan(made[0], capsys, "--dry-run")["cells"]
    surest = max(row["p"] for row in rows if row["bin"] == 19)
    assert surest < 0.5 * min(row["p"] for row in rows if row["bin"] is not None and row["bin"] < 12)
    assert min(row["p"] for row in rows) > 0


@pytest.mark.parametrize("towards, most", [("class:a", "a"), ("precision:b", "b"), ("recall:b", "b")])
def test_a_class_is_asked_about_where_it_is_answered_and_the_rest_stays_in_sight(made, capsys, towards, most):
    found = plan(made[0], capsys, "--dry-run", "--towards", towards)
    surest = {row["predicted"]: row["p"] for row in found["cells"] if row["bin"] == 19}
    assert max(surest, key=surest.get) == most and min(surest.values()) > 0
    assert min(row["p"] for row in found["cells"]) == pytest.approx(found["floor"])
    assert found["labels_per_label_of_a_random_audit"]["hajek"] < 0.6


def test_a_slice_that_says_nothing_of_the_answer_is_planned_as_the_whole(made, capsys):
    whole, part = (plan(made[0], capsys, "--dry-run", *of) for of in ((), ("--towards", "slice:camera=1")))
    cells = {(r["predicted"], r["bin"]): r["p"] for r in whole["cells"]}
    assert all(r["p"] == pytest.approx(cells[r["predicted"], r["bin"]], rel=0.25) for r in part["cells"])


@pytest.mark.parametrize("towards, message", [
    ("accuracy", "expected overall, class:NAME"), ("slice:camera", "slice:NAME=VALUE"),
    ("class:zebra", "was predicted so or is expected to be so"), ("slice:site=3", "counted no such slice")])
def test_wrong_questions_say_what_was_expected(made, capsys, towards, message):
    found = plan(made[0], capsys, "--dry-run", "--towards", towards, code=2)
    assert message in found["error"]["message"]


def test_a_window_without_predictions_is_named_whole(made, capsys):
    found = plan(made[0], capsys, "--dry-run", "--role", "shadow", day=("--from", DAYS[0], "--to", DAY), code=2)
    assert f"no predictions of role shadow in the bucket on {DAYS[0]} to {DAY}" in found["error"]["message"]


@pytest.mark.parametrize("days", [("--day", DAYS[1]), ("--from", DAYS[0], "--to", DAY)])
def test_a_day_that_was_audited_is_not_topped_up(made, capsys, days):
    found = plan(made[0], capsys, code=1, day=days)
    assert found["error"]["code"] == "AlreadyExists"
    assert "not topped up" in found["error"]["message"] and "0.850 for a true 0.896" in found["error"]["message"]
    assert f"Plan days without one: {DAY}" in found["error"]["message"]
    assert samples.read(open_root(made[0]), MODEL, DAY, "audit") is None


def test_a_budget_too_small_for_unequal_weights_is_asked_alike(made, capsys):
    found = plan(made[0], capsys, "--dry-run", budget=40)
    assert {round(row["p"], 6) for row in found["cells"]} == {round(40 / 3000, 6)}


def test_more_than_there_are_means_all(made, capsys):
    found = plan(made[0], capsys, "--dry-run", budget=5000)
    assert found["expected"] == pytest.approx(3000) and min(row["p"] for row in found["cells"]) == pytest.approx(1)


def test_without_labels_the_confidence_decides(tmp_root, capsys):
    make_root(tmp_root, n=400, judged=False)
    found = plan(tmp_root, capsys, "--dry-run", budget=150)
    assert (found["earlier_labels"], found["why"]) == (0, "no gate has decided yet")
    at = {row["bin"]: row["assumed_right"] for row in found["cells"]}
    assert at[19] == pytest.approx(0.975) and at[10] == pytest.approx(0.525)


def test_the_answers_of_a_planned_audit_are_believed(tmp_root, capsys):
    """Drawn, answered, evaluated: unbiased, weighted, and the interval holds the truth that the plain share misses."""
    traffic = make_root(tmp_root)[2]
    found = plan(tmp_root, capsys, "--salt", "s")
    storage = open_root(tmp_root)
    sample = samples.read(storage, MODEL, DAY, "audit")
    assert (sample.strategy, sample.toward.gate, sample.salt) == ("neyman", "accuracy", "s")
    asked = traffic.answer(tmp_root)
    assert found["actual"] == len(asked) and abs(len(asked) - 200) < 5 * 200**0.5
    table = sample.table()
    assert {i.p for i in asked.values()} == {table[samples.Cell(i.predicted, i.bin)] for i in asked.values()}
    run_evaluate(tmp_root, "--from", DAY, "--evidence", "combined")
    evaluation = read_evaluation(storage, MODEL, newest(storage, MODEL))
    of, combined = evaluation["versions"]["1"], evaluation["evidence"]["combined"]["versions"]["1"]
    estimate = of["estimate"]
    assert (estimate["origin"], estimate["unbiased"], estimate["weighted"]) == ("audit", True, True)
    assert estimate["low"] <= traffic.accuracy <= estimate["high"]
    assert of["accuracy"]["high"] < traffic.accuracy
    assert combined["low"] <= traffic.accuracy <= combined["high"] and combined["labels"] == len(asked)
    assert combined["high"] - combined["low"] < estimate["high"] - estimate["low"]
    assert samples.expected(sample, count_cells(storage, MODEL, DAY)) == pytest.approx(200, rel=1e-6)


def test_under_the_combined_estimate_the_plan_is_for_that_one(made, capsys):
    found = plan(made[0], capsys, "--dry-run", "--set", "gates.estimate=combined")
    assert found["estimate"] == "combined" and found["labels_per_label_of_a_random_audit"]["combined"] < 0.9
    by_class = plan(made[0], capsys, "--dry-run", "--set", "gates.estimate=combined", "--towards", "precision:a")
    assert by_class["estimate"] == "hajek", "gates of classes judge Hajek's shares"


def test_a_person_is_told_which_estimate_gains(made, capsys):
    capsys.readouterr()
    options = ("--root", made[0], "--model", MODEL, "--budget", "200", "--day", DAY, "--dry-run")
    assert review.main(["plan", *options]) == 0
    said = capsys.readouterr().out
    for words in ("toward overall (gate accuracy; the newest decision cannot tell it)", "drawn nothing",
                  "With what the gate uses, the weighted share of the audit (Hajek's), it needs",
                  "With the combined estimate it needs", "of a random audit's labels", "assumed right"):
        assert words in said


def test_several_days_share_their_probabilities(tmp_root, capsys):
    make_root(tmp_root, n=300, judged=False)
    found = plan(tmp_root, capsys, day=("--from", DAYS[0]))
    drawn = [samples.read(open_root(tmp_root), MODEL, day, "audit") for day in DAYS]
    assert found["days"] == list(DAYS) and found["expected"] == pytest.approx(200, rel=1e-6)
    assert len({tuple(sorted(sample.table().items(), key=str)) for sample in drawn}) == 1
    assert abs(found["actual"] - 200) < 5 * 200**0.5
