"""The promotion gate on the first dataset's held-out rows: off unless it is set, paired, of trusted origins."""

import pytest

from contract.policy import GatePolicy
from metrics.intervals import paired_interval
from metrics.judging.promotion import judge_assessment
from metrics.significance.paired import Paired

BETTER = Paired(100, 5, 60, 20).to_dict()


def assessment(first):
    return {"dataset": "d3", "by_origin": {"audit": BETTER}, "per_class_by_origin": [], "window": {},
            **({} if first is None else {"first": first})}


def first_of(*counts, origin="import", **more):
    return {"dataset": "d1", "reason": None, "by_origin": {origin: Paired(*counts).to_dict()}} | more


def judge(first, **policy):
    return judge_assessment(GatePolicy(**policy), assessment(first))


def test_unless_it_is_set_what_was_forgotten_changes_no_decision():
    """Not a field of it: decisions of earlier releases are decided again by `trueup verify`."""
    assert judge(first_of(0, 200, 0, 0)) == judge(None) and judge(None)["promote"]
    assert "forgetting" not in judge(None)


@pytest.mark.parametrize(("counts", "verdict"), [
    ((950, 5, 5, 40), "pass"), ((800, 100, 0, 100), "fail"), ((900, 25, 5, 70), "cannot tell"), ((100, 0, 300, 100), "pass")])
def test_the_whole_interval_has_to_lie_on_one_side_of_the_bound(counts, verdict):
    made = judge(first_of(*counts), max_forgetting=0.02)
    row, (both, only_live, only_candidate, neither) = made["forgetting"], counts
    low, high = paired_interval(both, only_candidate, only_live, neither, 0.95)
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["verdict"] == verdict == ("pass" if low >= -0.02 else "fail" if high < -0.02 else "cannot tell")
    assert made["promote"] == (verdict == "pass") and made["verdict"] == verdict


def test_a_candidate_that_forgot_is_refused_although_it_is_better_on_its_own_dataset():
    made = judge(first_of(800, 100, 0, 100), max_forgetting=0.02)
    assert made["overall"]["verdict"] == "pass"
    assert made["sentence"].endswith(
        "On 1000 held-out rows of the first dataset the candidate has 80.0%, the live version 90.0%: a difference of "
        "-10.0 points (-11.9 to -8.2); a drop of 2.0 points is allowed: fail.")


@pytest.mark.parametrize(("first", "reason"), [
    (None, "the first dataset's held-out rows were not asked"),
    (first_of(900, 0, 0, 100, origin="feedback"), "the first dataset's held-out rows were not asked"),
    (first_of(900, 0, 0, 100) | {"by_origin": {}, "reason": "a row was trained on"}, "a row was trained on"),
    (first_of(90, 0, 0, 9), "too few labels")])
def test_what_is_not_known_cannot_be_told(first, reason):
    made = judge(first, max_forgetting=0.5)
    assert (made["verdict"], made["promote"], made["forgetting"]["reason"]) == ("cannot tell", False, reason)
    assert reason in made["sentence"]
