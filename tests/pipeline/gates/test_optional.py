"""The gates that a policy may add: drops, calibration, drift, coverage, slices, several windows."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from contract.counts import SLICES
from contract.errors import UsageError
from contract.policy import GatePolicy, explain_defaults
from pipeline.gates.accuracy import judge_accuracy_by_window
from pipeline.gates.classes import judge_classes_and_slices
from pipeline.gates.decide import decide
from pipeline.gates.optional import judge_baseline, judge_calibration, judge_coverage, judge_drift, judge_trivial
from pipeline.gates.tally import RightCount, Tally, measure_calibration, tally_of
from tests.figures import cell, day
from tests.pipeline.gates.test_decide import audit, evaluation

WINDOW = {"from": "2026-11-19", "to": "2026-11-20"}


def counted(policy, *days, version="1"):
    return tally_of(policy, days, WINDOW, version)


def test_the_published_default_says_what_every_field_means():
    published = Path(__file__).parents[3] / "docs/gates.yaml"
    assert published.read_text() == explain_defaults()
    assert all(field.description for field in GatePolicy.model_fields.values())


@pytest.mark.parametrize(("right", "verdict"), [(900, "pass"), (860, "cannot tell"), (800, "fail")])
def test_a_drop_against_a_baseline_version(right, verdict):
    policy = GatePolicy(baseline="1", max_drop_from_baseline=0.05)
    cells = [cell("a", "a", origin="audit", n=900), cell("a", "b", origin="audit", n=100),
             cell("a", "a", origin="audit", n=right, version="2"), cell("a", "b", origin="audit", n=1000 - right, version="2")]
    gate = judge_baseline(policy, counted(policy, day(cells), version="2"))
    assert (gate["verdict"], gate["baseline_right"], gate["baseline_n"]) == (verdict, 900, 1000)
    assert gate["value"] == pytest.approx(right / 1000 - 0.9) and gate["low"] < gate["value"] < gate["high"]


def test_a_drop_against_a_baseline_window_and_without_one():
    policy = GatePolicy(baseline="2026-11-19/2026-11-19", max_drop_from_baseline=0.05)
    days = (day([cell("a", "a", origin="audit", n=300)], "2026-11-19"), day([cell("a", "b", origin="audit", n=200)]))
    assert judge_baseline(policy, counted(policy, *days))["verdict"] == "fail"
    missing = judge_baseline(policy, counted(policy, days[1]))
    assert (missing["verdict"], missing["reason"]) == ("cannot tell", "no baseline")
    with pytest.raises(UsageError, match="expected a version such as 3, or days"):
        counted(GatePolicy(baseline="last week", max_drop_from_baseline=0.1), *days)


def test_a_model_no_better_than_the_trivial_one():
    policy = GatePolicy(max_drop_from_trivial=-0.1)
    recall = {"a": RightCount(780, 800), "b": RightCount(20, 200)}  # right on 800 of 1000; always "a" is right on 800, too
    gate = judge_trivial(policy, audit(800, 1000, recall=recall))
    assert (gate["verdict"], gate["trivial_label"], gate["only_model"], gate["only_trivial"]) == ("fail", "a", 20, 20)
    better = {"a": RightCount(500, 500), "b": RightCount(450, 500)}
    assert judge_trivial(policy, audit(950, 1000, recall=better))["verdict"] == "pass"


@pytest.mark.parametrize(("right", "verdict"), [(0.9, "pass"), (0.8, "cannot tell"), (0.6, "fail")])
def test_calibration_error_is_judged_with_the_margin_of_its_noise(right, verdict):
    policy = GatePolicy(max_calibration_error=0.1)
    n = round(1000 * right)
    tally = counted(policy, day([cell("a", "a", 0.9, origin="audit", n=n), cell("a", "b", 0.9, origin="audit", n=1000 - n),
                                 cell("a", "b", 0.9, origin="feedback", n=9000)]))
    gate = judge_calibration(policy, tally)
    assert (gate["verdict"], gate["n"]) == (verdict, 1000)


def test_the_calibration_margin_covers_the_true_error():
    rng, policy, inside = np.random.default_rng(1), GatePolicy(max_calibration_error=0.1), 0
    said, true = np.array([0.525, 0.725, 0.925]), np.array([0.45, 0.75, 0.85])
    for _ in range(200):
        right = rng.binomial(100, true)
        cells = [cell("a", label, float(s), origin="audit", n=int(n)) for s, r in zip(said, right, strict=True)
                 for label, n in (("a", r), ("b", 100 - r)) if n]
        found = measure_calibration(day(cells).tables["cells"], "1", ["audit"], policy)
        inside += abs(found["ece"] - np.abs(said - true).mean()) <= found["margin"]
    assert inside >= binom.ppf(0.001, 200, 0.95)


def test_drift_of_the_judged_version():
    policy = GatePolicy(max_drift=0.05)
    same = [day([cell("a", n=500), cell("b", n=500)], d) for d in ("2026-11-19", "2026-11-20")]
    moved = [same[0], day([cell("a", n=950), cell("b", n=50)])]
    assert judge_drift(policy, counted(policy, *same))["verdict"] == "pass"
    assert judge_drift(policy, counted(policy, *moved))["verdict"] == "fail"
    assert judge_drift(policy, counted(policy, same[1]))["reason"] == "no baseline"


def test_too_little_coverage_and_too_small_an_audit_cannot_tell():
    policy = GatePolicy(min_coverage=0.2, min_audit_labels=500)
    gate = judge_coverage(policy, audit(100, 100))
    assert (gate["verdict"], gate["value"], gate["predictions"]) == ("cannot tell", 0.1, 1000)
    made = decide(policy, evaluation(), "e", "1", audit(400, 400))
    assert (made["verdict"], made["reasons"]) == ("cannot tell", ["too few labels"])
    assert {w["gate"]: w["labels"] for w in made["wishes"]["rows"]} == {"coverage": 400, "audit_labels": 100}
    assert made["wishes"]["ask"] == {"kind": "audit", "strategy": "random-audit", "items": 400}


def test_slices_are_one_family_with_the_classes():
    policy = GatePolicy(min_slice_accuracy=0.8)
    rows = [{"slice": "camera", "value": v, "model_version": "1", "origin": o, "predicted": "a", "label": label, "n": n}
            for v, o, label, n in (("bad", "audit", "a", 40), ("bad", "audit", "b", 60), ("good", "audit", "a", 99),
                                   ("liked", "feedback", "b", 99), (None, "audit", "b", 99))]
    tally = counted(policy, day([cell("a", "a", origin="audit", n=100)], **{SLICES.name: rows}))
    recall, slices = decide(policy, evaluation(), "e", "1", tally)["gates"][1:3]
    assert (slices["failed"], slices["judged"]) == (["camera=bad"], 2)
    assert slices["classes"][0]["p_adjusted"] == pytest.approx(slices["classes"][0]["p"] * 3)
    assert recall["verdict"] == "pass"


def test_a_thousand_healthy_classes_in_two_gates_raise_no_more_alarms_than_one():
    rng, policy, alarms = np.random.default_rng(2), GatePolicy(min_class_recall=0.8, min_class_precision=0.8), 0
    for _ in range(200):
        recall, precision = ({f"{i:03}": RightCount(int(r), 60) for i, r in enumerate(rng.binomial(60, 0.8, 500))}
                             for _ in range(2))
        gates = judge_classes_and_slices(policy, Tally(60_000, {}, recall, precision))
        alarms += any(gate["verdict"] == "fail" for gate in gates)
    assert alarms <= binom.ppf(0.999, 200, 0.05)


def test_windows_share_the_error_of_the_year():
    policy = GatePolicy(window_days=[7, 28])
    tally = audit(2500, 2800, windows={7: audit(500, 700), 28: audit(2500, 2800)})
    gates = judge_accuracy_by_window(policy, tally)
    assert [(g["days"], g["verdict"], g["n"]) for g in gates] == [(7, "fail", 700), (28, "cannot tell", 2800)]
    assert {g["level"] for g in gates} == {0.05 / 730}
    days = (day([cell("a", "a", origin="audit", n=3)], "2026-11-19"), day([cell("a", "b", origin="audit", n=2)]))
    windows = counted(GatePolicy(window_days=[1, 2]), *days).windows
    assert {n: t.of(["audit"]) for n, t in windows.items()} == {1: RightCount(0, 2), 2: RightCount(3, 5)}


def test_a_default_policy_has_the_gates_it_had():
    made = decide(GatePolicy(), evaluation(), "e", "1", Tally(500, {"audit": RightCount(0, 0)}))
    assert [gate["gate"] for gate in made["gates"]] == ["accuracy", "class_recall", "freshness"]
