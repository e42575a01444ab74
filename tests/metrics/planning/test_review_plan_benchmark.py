"""The simulation of planned audits: small, and judged as the product judges."""

import numpy as np
import pytest

from benchmarks import review_plan
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
