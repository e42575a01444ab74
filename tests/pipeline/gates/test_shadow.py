"""The gate on shadow traffic is the promotion gate's own, on the pairs of the two versions that are asked about."""

import pytest

from contract.policy import GatePolicy
from metrics.judging.promotion import judge_overall
from metrics.significance.paired import Paired
from pipeline.gates.shadow import judge_shadow

POLICY = GatePolicy(shadow_labels=100, max_drop=0.02)


def section(counts, origin="audit", live="1", shadow="2", classes=(), without=()):
    pairs = Paired(*counts)
    return {"evidence": {"shadow": {"pairs": [{
        "live": live, "shadow": shadow, "rows": 500, "agree": 400, "agreement": {"value": 0.8, "low": 0.76, "high": 0.83},
        "by_origin": {origin: pairs.to_dict()}, "per_class_by_origin": list(classes), "without": list(without)}]}}}


@pytest.mark.parametrize(("counts", "verdict"), [
    ((150, 2, 30, 18), "pass"), ((190, 0, 0, 10), "pass"), ((100, 60, 5, 35), "fail"), ((100, 20, 20, 60), "cannot tell"),
    ((60, 0, 20, 10), "cannot tell"),
])
def test_it_is_the_promotion_gate(counts, verdict):
    found = judge_shadow(POLICY, section(counts), ["1"], "2")
    assert (found["verdict"], found["promote"]) == (verdict, verdict == "pass")
    assert found["overall"] == judge_overall(POLICY.model_copy(update={"min_held_out": 100}), Paired(*counts))
    assert "labelled predictions of the shadow of origin audit" in found["sentence"] and "held-out" not in found["sentence"]


@pytest.mark.parametrize("evaluation", [
    {}, {"evidence": {}}, section((150, 2, 30, 18), shadow="3"), section((150, 2, 30, 18), live="4"),
    section((150, 2, 30, 18), origin="feedback"),
])
def test_without_trusted_labels_of_these_two_nothing_is_told(evaluation):
    found = judge_shadow(POLICY, evaluation, ["1"], "2")
    assert (found["verdict"], found["promote"], found["reason"]) == ("cannot tell", False, "too few labels")
    assert "expected 100 (gates.shadow_labels)" in found["sentence"]


def test_a_class_that_is_worse_fails_and_one_person_decides_nothing():
    worse = {"label": "b", "origin": "audit", "n": 40, "both": 10, "only_live": 25, "only_candidate": 0, "neither": 5}
    assert judge_shadow(POLICY, section((150, 25, 60, 18), classes=[worse]), ["1"], "2")["verdict"] == "fail"
    left = {"both": 130, "only_live": 20, "only_candidate": 5, "neither": 9}
    alone = {"labeler": "ana", "rows": 60, "by_origin": {"audit": left}}
    found = judge_shadow(POLICY, section((150, 2, 60, 18), without=[alone]), ["1"], "2")
    assert (found["verdict"], found["reason"]) == ("cannot tell", "fragile")
    assert "without the 60 labelled predictions of the shadow that they alone labelled" in found["sentence"]


def test_who_asks_for_no_labels_may_look_all_the_same():
    assert judge_shadow(GatePolicy(), section((60, 0, 20, 5)), ["1"], "2")["verdict"] == "cannot tell"
    assert judge_shadow(GatePolicy(), section((150, 2, 30, 18)), ["1"], "2")["verdict"] == "pass"
