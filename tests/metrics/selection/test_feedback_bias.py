import numpy as np
import pytest
from scipy.stats import bootstrap

from benchmarks.anchoring import cover_feedback
from metrics.selection.feedback_bias import Told

NAN = np.nan


def test_the_figures_follow_from_what_audit_and_feedback_say():
    told = Told(np.array([1, 1, 1, 1, 0, 0, 0], bool), np.array([1, 0, NAN, NAN, 0, 0, 1.0]), np.full(7, 0.1))
    assert [told.tally(r, s) for r in (True, False) for s in (True, False)] == [1, 1, 1, 2]
    figures = told.wrong_of_right(), told.right_of_wrong(), told.given(True), told.given(False), told.judges()
    assert [figure["value"] for figure in figures] == pytest.approx([1 / 2, 1 / 3, 2 / 4, 1.0, 2 / 5 - 2 / 5])
    assert told.bias()["value"] is None and "fewer than 30" in told.bias()["reason"]


def test_nothing_audited_or_told_gives_reasons():
    nothing = Told(np.zeros(0, bool), np.zeros(0), np.zeros(0))
    for figure in (nothing.wrong_of_right(), nothing.right_of_wrong(), nothing.given(True), nothing.judges(), nothing.bias()):
        assert figure["value"] is None and figure["reason"]


@pytest.mark.parametrize("uneven", [False, True])
def test_the_bias_has_the_interval_of_a_bootstrap(uneven):
    rng = np.random.default_rng(1)
    right = rng.random(1500) < 0.8
    said = np.where(rng.random(1500) < np.where(right, 0.1, 0.5), right ^ (rng.random(1500) < 0.1), NAN)
    p = np.where(right, 0.2, 0.4) if uneven else np.full(1500, NAN)
    found = Told(right, said, p).bias()

    def statistic(row):
        r, s, w = right[row], said[row], 1 / p[row] if uneven else np.ones(len(row))
        told = ~np.isnan(s)
        return np.average(s[told], weights=w[told]) - np.average(r, weights=w)

    rows = (np.arange(1500),)
    made = bootstrap(rows, statistic, n_resamples=2000, vectorized=False, method="basic", random_state=rng)
    low, high = made.confidence_interval
    assert found["value"] == pytest.approx(statistic(rows[0]))
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.006)


def test_the_interval_of_the_bias_covers():
    found = cover_feedback(True, 300, np.random.default_rng(2))
    assert found["bias covered"] > 0.9 and found["judges covered"] > 0.9
