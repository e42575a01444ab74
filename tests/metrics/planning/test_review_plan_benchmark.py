"""The simulation of planned audits: small, and judged as the product judges."""

from itertools import combinations

import numpy as np
import pytest

from benchmarks import review_plan
from benchmarks.review_limit import KnownDay
from metrics.selection.origin_sums import Sums
from metrics.significance.share_of_origin import judge_share


def test_a_planned_audit_decides_with_three_quarters_of_the_labels():
    """Calibrated, AUROC above 0.9: the interval of 150 planned labels is no wider than that of 200 asked alike."""
    rng = np.random.default_rng(1)
    log = review_plan.make_log("calibrated", rng)
    assert log.auroc > 0.9 and log.accuracy == pytest.approx(0.9, abs=0.01)
    for estimate in review_plan.ESTIMATES:
        alike = review_plan.measure(log, estimate, False, 200, 200, rng)
        planned = review_plan.measure(log, estimate, True, 150, 200, rng)
        assert planned["width"] <= alike["width"] * 1.02, estimate
        assert planned["covered"] >= 0.90


def test_an_audit_is_judged_as_the_gate_judges_it():
    rng = np.random.default_rng(2)
    log = review_plan.make_log("calibrated", rng)
    p = review_plan.plan(log, 300, "hajek", rng)
    asked, right = log.draw(p, 1, rng)
    value, size, _, kish = (x[0] for x in review_plan.judge_hajek(log, p, asked, right))
    weight = np.floor(65536 / p)
    sums = Sums(int(asked.sum()), int(right.sum()), int(asked.sum()), *(int(x) for x in (
        (asked[0] * weight).sum(), (asked[0] * weight**2).sum(), (right[0] * weight).sum(), (right[0] * weight**2).sum())))
    found = judge_share(sums, 0.85, 0.95, 0.05 / 365)
    assert (found["value"], found["size"], found["n_effective"]) == pytest.approx((value, size, kish))


@pytest.mark.parametrize("planned", [False, True])
def test_the_limit_is_the_best_of_all_strata(planned):
    """Six cells: every way to cut their order, and no allocation of a fine grid beats the one that was found."""
    day = KnownDay(np.array([900, 50, 2000, 400, 150, 500]), np.array([890, 20, 1990, 300, 60, 480]))
    day.places = list(range(1, 6))
    every = [day.ask(200, cuts, planned) for k in range(6) for cuts in combinations(range(1, 6), k)]
    best = min((a for a in every if a is not None), key=lambda audit: audit.cautious)
    assert day.find_best(200, planned).cautious == pytest.approx(best.cautious, rel=1e-6)


def test_no_other_allocation_is_better_than_the_one_of_the_limit():
    day = KnownDay(np.array([600, 3400]), np.array([300, 3330]))
    found = day.ask(200, (1,), planned=True)
    part, share = np.array([0.15, 0.85]), np.array([0.5, 3330 / 3400])
    doubted = [((n * share + 2) / (n + 4), n) for n in (np.array([k, 200 - k]) for k in np.arange(20, 180.1, 0.5))]
    assert found.cautious == pytest.approx(min((part**2 * q * (1 - q) / n).sum() for q, n in doubted), rel=1e-4)


def test_knowing_the_truth_a_fail_still_takes_more_than_three_quarters():
    least = review_plan.find_least(review_plan.make_log("calibrated", np.random.default_rng(1)))
    assert 0.75 < least["planned"] / least["alike"] < 0.85
