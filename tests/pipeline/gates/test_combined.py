"""The accuracy gate on the combined estimate: its p, its reasons, and what it asks of an evaluation."""

import pytest

from benchmarks import combined_years
from contract.policy import GatePolicy
from metrics.significance.exact_tests import p_at_least
from pipeline.gates.decide import decide
from pipeline.gates.tally import RightCount, Tally
from tests.pipeline.gates.test_decide import evaluation

POLICY = GatePolicy(estimate="combined", min_class_recall=None)
TALLY = Tally(predictions=20_000, origins={"audit": RightCount(190, 200)})


def estimated(value=0.95, size=400.0, **more):
    return {"value": value, "low": value - 0.02, "high": value + 0.02, "origin": "audit", "predictions": 20_000, "labels": 200,
            "strata": 5, "n_effective": 200.0, "size": 500.0, "cautious_size": size} | more


def judge(found, policy=POLICY, tally=TALLY, windows=()):
    section = {"combined": {"sentence": "", "versions": {"1": found} if found else {}, "windows": list(windows)}}
    return decide(policy, evaluation(evidence=section), "e", "1", tally)["gates"][0]


@pytest.mark.parametrize(("value", "verdict"), [(0.95, "pass"), (0.91, "cannot tell"), (0.8, "fail")])
def test_it_judges_the_combined_figure_by_its_p_at_the_cautious_size(value, verdict):
    gate = judge(estimated(value))
    assert (gate["verdict"], gate["value"], gate["n"], gate["estimate"]) == (verdict, value, 200, "combined")
    assert gate["p"] == pytest.approx(p_at_least(round(400 * value), 400, 0.9)), "whole counts: the exact test itself"
    assert gate["level"] == pytest.approx(0.05 / 365) and (gate["p"] <= gate["level"]) == (verdict == "fail")
    assert (gate["level_high"] <= 0.9) == (verdict == "fail")
    assert "over 20,000 predictions, from 200 audit labels in 5 strata" in gate["sentence"]


def test_an_evaluation_without_it_cannot_tell_and_names_the_option():
    for made in (evaluation(), evaluation(evidence={})):
        gate = decide(POLICY, made, "e", "1", TALLY)["gates"][0]
        assert (gate["verdict"], gate["reason"]) == ("cannot tell", "no combined estimate")
        assert "--evidence combined" in gate["sentence"]
    assert judge(None)["reason"] == "no combined estimate"


@pytest.mark.parametrize(("found", "reason", "says"), [
    (estimated() | {"value": None, "low": None, "high": None, "origin": None, "reason": "below 90%"}, "no combined estimate",
     "below 90%"),
    (estimated(labels=49), "too few labels", "Expected 50 audit labels or more"),
    (estimated(origin="assessment"), "too few labels", "there are 0"),
    (estimated(n_effective=40.0), "uneven", "tell as much as 40")])
def test_what_is_no_ground_for_a_verdict_cannot_tell(found, reason, says):
    gate = judge(found)
    assert (gate["verdict"], gate["reason"]) == ("cannot tell", reason) and says in gate["sentence"]


def test_an_audit_that_is_not_trusted_is_not_judged():
    gate = judge(estimated(), POLICY.model_copy(update={"trusted_origins": ["import"]}))
    assert gate["reason"] == "no combined estimate" and "trusted_origins" in gate["sentence"]


def test_each_window_of_the_policy_has_its_own():
    policy = POLICY.model_copy(update={"window_days": [7, 28]})
    tally = Tally(20_000, TALLY.origins, windows={7: TALLY, 28: TALLY})
    windows = [{"days": 7, "versions": {"1": estimated(0.8)}}]
    section = {"combined": {"sentence": "", "versions": {"1": estimated()}, "windows": windows}}
    gates = decide(policy, evaluation(evidence=section), "e", "1", tally)["gates"]
    assert [(g["days"], g["verdict"], g.get("reason")) for g in gates[:2]] == [
        (7, "fail", None), (28, "cannot tell", "no combined estimate")]
    assert gates[0]["level"] == pytest.approx(0.05 / 730)


def test_labels_are_wished_for_where_it_cannot_tell():
    made = decide(POLICY, evaluation(evidence={"combined": {"sentence": "", "versions": {"1": estimated(0.915)}, "windows": []}}),
                  "e", "1", TALLY)
    assert made["verdict"] == "cannot tell" and made["wishes"]["rows"][0]["labels"] > 100


@pytest.mark.parametrize("name", ["sharp, 50 a day", "nothing to explain, 50 a day"])
def test_few_healthy_years_alarm(name):
    """Of 6 years; at the level of one in 33 two of them are seen once in a thousand times. 500 years: docs/log.md."""
    assert combined_years.row(name, 6, seed=2)["healthy_years_that_fail"] <= 2 / 6


def test_a_policy_that_judges_no_accuracy_needs_none():
    made = decide(POLICY.model_copy(update={"min_accuracy": None}), evaluation(), "e", "1", TALLY)
    assert made["gates"][0]["gate"] == "freshness"
