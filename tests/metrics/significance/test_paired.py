import numpy as np
import pytest
from scipy.stats import binomtest

from metrics.significance.paired import Paired, estimate_weighted_difference


def test_rows_are_counted_by_who_was_right():
    live, candidate = np.array([1, 1, 0, 0, 0], bool), np.array([1, 0, 1, 1, 0], bool)
    found = Paired.count(live, candidate)
    assert found == Paired(both=1, only_live=1, only_candidate=2, neither=1) and found.n == 5
    assert Paired.of(found.to_dict()) == found


def test_the_figures_follow_from_the_counts():
    found = Paired(both=70, only_live=4, only_candidate=15, neither=11).to_dict()
    assert (found["n"], found["live"]["value"], found["candidate"]["value"]) == (100, 0.74, 0.85)
    difference = found["difference"]
    assert difference["value"] == pytest.approx(0.11) and difference["low"] < 0.11 < difference["high"]
    assert found["mcnemar"]["two_sided"] == pytest.approx(binomtest(4, 19).pvalue)
    assert found["mcnemar"]["live_worse"] == pytest.approx(binomtest(4, 19, alternative="less").pvalue)


def test_no_rows_are_figures_with_a_reason():
    found = Paired(0, 0, 0, 0).to_dict()
    assert found["live"] == found["difference"] == {"value": None, "low": None, "high": None, "reason": "no rows"}
    assert found["mcnemar"] is None
    nothing = estimate_weighted_difference(np.ones(2, bool), np.ones(2, bool), np.array([0.5, np.nan]))
    assert (nothing["value"], nothing["n"]) == (None, 1)
