"""The gates: three answers, exact error rates, one decision for one input."""

import numpy as np
import pytest
from scipy.stats import binom

from contract import jsonio
from contract.policy import GatePolicy
from metrics.judging.verdicts import BUDGET, NO_CLASS, PASS, UNDECIDED
from pipeline.gates.accuracy import judge_accuracy
from pipeline.gates.classes import judge_classes_and_slices
from pipeline.gates.decide import decide
from pipeline.gates.tally import RightCount, Tally

AS_OF = "2026-11-20T00:00:00.000000Z"


def evaluation(**more):
    return {"model": "digits", "window": {"from": "2026-11-13", "to": "2026-11-19"}, "as_of": AS_OF, "partial": [],
            "trend": [], "versions": {"1": {}}} | more


def audit(right, n, **more):
    return Tally(predictions=10 * n, origins={"audit": RightCount(right, n)}, **more)


def judge_recall(policy, shares):
    (gate,) = judge_classes_and_slices(policy, Tally(recall=shares))
    return gate


def decision(tally, policy=None, overrides=(), retrainings=(), **more):
    return decide(policy or GatePolicy(), evaluation(**more), "e", "1", tally, overrides, retrainings)


@pytest.mark.parametrize(("right", "verdict", "code"), [(195, "pass", 0), (180, "cannot tell", 4), (120, "fail", 3)])
def test_accuracy_passes_fails_or_cannot_tell(right, verdict, code):
    made = decision(audit(right, 200))
    assert (made["verdict"], made["exit_code"]) == (verdict, code)
    assert made["retrain"]["fires"] is (verdict == "fail")
    assert made["sentence"].startswith("Version 1 ")


def test_labels_that_name_no_class_start_no_retraining():
    """The verdict stays what the rule says of the counts; what is trained on `Cat` beside `cat` learns nothing."""
    doubt = {"kind": "no class named", "version": "1", "sentence": "version 1: not one of its 200 labels names a class."}
    made = decision(audit(0, 200), doubts=[doubt])
    assert (made["verdict"], made["retrain"]["fires"], made["retrain"]["wanted"]) == ("fail", False, True)
    assert made["retrain"]["reason"] == NO_CLASS and made["sentence"].endswith(f"Doubtful: {doubt['sentence']}")
    assert decision(audit(0, 200), doubts=[doubt | {"version": "2"}])["retrain"]["fires"]


def test_the_accuracy_gate_fails_by_the_exact_rule_per_year():
    policy = GatePolicy(min_accuracy=0.9, false_alarms_per_year=0.05)
    worst_that_holds = int(binom.ppf(0.05 / 365, 200, 0.9))
    for right in range(150, 200):
        row = judge_accuracy(policy, audit(right, 200))
        assert row["p"] == pytest.approx(binom.cdf(right, 200, 0.9), rel=1e-9)
        assert (row["verdict"] == "fail") == (right < worst_that_holds)


def test_a_healthy_model_looked_at_every_day_alarms_in_few_years():
    """200 labels a day, windows of 7 days, a model exactly at its bound: at most 5% of the years see an alarm."""
    rng, policy, years = np.random.default_rng(1), GatePolicy(min_class_recall=None), 2000
    days = rng.binomial(200, 0.9, (years, 365 + 6))
    windows = np.lib.stride_tricks.sliding_window_view(days, 7, axis=1).sum(axis=2)
    fails = np.array([judge_accuracy(policy, audit(r, 1400))["verdict"] == "fail" for r in range(1100, 1401)])
    alarms = fails[np.clip(windows - 1100, 0, 300)].any(axis=1).mean()
    assert 0.005 < alarms <= 0.05


def test_a_thousand_healthy_classes_raise_no_more_alarms_than_one():
    rng, policy = np.random.default_rng(1), GatePolicy(min_class_recall=0.8)
    alarms = 0
    for _ in range(200):
        shares = {f"{i:04}": RightCount(int(r), 60) for i, r in enumerate(rng.binomial(60, 0.8, 1000))}
        alarms += judge_recall(policy, shares)["verdict"] == "fail"
    assert alarms <= binom.ppf(0.999, 200, 0.05)


def test_a_bad_class_fails_and_a_small_one_is_not_judged():
    shares = {"good": RightCount(98, 100), "bad": RightCount(30, 100), "small": RightCount(0, 19), "unsure": RightCount(70, 100)}
    gate = judge_recall(GatePolicy(min_class_recall=0.7), shares)
    assert (gate["verdict"], gate["failed"], gate["undecided"], gate["worst"]) == ("fail", ["bad"], ["unsure"], "bad")
    assert (gate["judged"], gate["not_judged"]) == (3, 1)
    assert {row["label"]: row["verdict"] for row in gate["classes"]}["small"] == "not judged"
    assert "below it: 'bad'; undecided: 'unsure'." in gate["sentence"]


def test_an_undecided_class_does_not_block():
    made = decision(audit(990, 1000, recall={"a": RightCount(70, 100), "b": RightCount(900, 900)}))
    assert (made["verdict"], made["gates"][1]["undecided"]) == ("pass", ["a"])


def test_a_class_that_fails_alone_says_no_but_does_not_retrain():
    made = decision(audit(990, 1000, recall={"a": RightCount(10, 100)}))
    assert (made["exit_code"], made["retrain"]["fires"]) == (3, False)
    assert made["retrain"]["reason"] == "the accuracy gate does not fail"


def test_classes_without_support_do_not_block():
    made = decision(audit(990, 1000, recall={"a": RightCount(1, 2)}))
    assert [gate["verdict"] for gate in made["gates"][:2]] == ["pass", "not judged"]
    assert made["verdict"] == "pass"


def test_only_trusted_origins_are_believed():
    tally = Tally(1000, {"audit": RightCount(195, 200), "feedback": RightCount(0, 300)})
    assert decision(tally)["verdict"] == "pass"
    assert decision(tally, GatePolicy(trusted_origins=["feedback"]))["verdict"] == "fail"


@pytest.mark.parametrize(("tally", "trend", "reason"), [
    (Tally(), [], "no data"),
    (Tally(500), [], "too few labels"),
    (Tally(500), [{"version": "1", "provisional": True}], "labels still arriving"),
    (Tally(500, {"audit": RightCount(0, 49)}), [], "too few labels"),
    (Tally(500, {"feedback": RightCount(0, 60)}), [], "too few labels"),
])
def test_nothing_to_judge_has_a_name(tally, trend, reason):
    made = decision(tally, trend=trend)
    assert (made["verdict"], made["reasons"], made["exit_code"]) == ("cannot tell", [reason], 4)


def test_a_policy_without_bounds_has_no_gate():
    made = decision(audit(1, 200), GatePolicy(min_accuracy=None, min_class_recall=None))
    assert (made["verdict"], made["reasons"]) == ("cannot tell", ["no gate"])
    assert [gate["gate"] for gate in made["gates"]] == ["freshness"]


def test_a_partial_evaluation_never_passes_and_may_fail():
    partial = [{"file": "f", "reason": "r"}]
    assert decision(audit(199, 200), partial=partial)["reasons"] == ["partial evaluation"]
    assert decision(audit(100, 200), partial=partial)["verdict"] == "fail"


def test_the_budget_stops_the_retraining_not_the_verdict():
    inside, before = ["2026-11-01T00:00:00.000000Z"] * 4, ["2026-10-01T00:00:00.000000Z"] * 9
    made = decision(audit(100, 200), retrainings=inside + before)
    assert (made["verdict"], made["exit_code"], made["retrain"]["fires"]) == ("fail", 3, False)
    assert (made["retrain"]["reason"], made["retrain"]["spent"]) == (BUDGET, 4)
    assert decision(audit(100, 200), retrainings=inside[:3] + before)["retrain"]["fires"]


def test_an_override_holds_until_its_end_and_says_what_the_gate_said():
    override = {"gate": "accuracy", "by": "ana", "reason": "holiday", "at": "2026-11-18T00:00:00.000000Z",
                "until": "2026-11-20T00:00:00.000001Z"}
    made = decision(audit(100, 200), overrides=[override])
    assert (made["verdict"], made["gates"][0]["verdict_of_the_gate"]) == (PASS, "fail")
    assert made["gates"][0]["override"]["by"] == "ana" and not made["retrain"]["fires"]
    for ended in ({"until": AS_OF}, {"at": "2026-11-20T00:00:00.000001Z"}, {"gate": "class_recall"}):
        assert decision(audit(100, 200), overrides=[override | ended])["verdict"] == "fail"


def test_the_same_inputs_give_the_same_bytes():
    tally = audit(150, 200, recall={str(i): RightCount(15, 20) for i in range(10)})
    assert jsonio.dumps(decision(tally)) == jsonio.dumps(decision(tally))


def test_a_decision_carries_value_interval_bound_counts_and_verdict():
    row = decision(audit(180, 200))["gates"][0]
    assert row["low"] < row["value"] == 0.9 < row["high"]
    assert (row["bound"], row["right"], row["n"], row["verdict"]) == (0.9, 180, 200, UNDECIDED)
