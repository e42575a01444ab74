"""Distances of histograms: against scipy, against a permutation test by hand, and how often chance is called a change."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from benchmarks import picture_drift
from contract.measured.document import Histogram
from contract.measured.measures import BY_NAME
from metrics.pictures.bands import find_limits, judge_bands
from metrics.pictures.compare import compare_counts, describe_spread, share_error


def draw(n, shift, seed):
    values = np.random.default_rng(seed).normal(0.5 + shift, 0.12, n)
    return np.histogram(values, [-np.inf, *BY_NAME["brightness"].edges, np.inf])[0].tolist()


def test_the_distance_is_scipys():
    a, b = draw(500, 0, 1), draw(300, 0.02, 2)
    assert compare_counts(a, b, 0.05)["js"] == pytest.approx(jensenshannon(a, b, 2) ** 2)


def permute(a, b, draws=4000):
    """By shuffling labels one by one: which of all pictures are of the second side."""
    rng, bins = np.random.default_rng(0), np.repeat(np.arange(len(a)), np.add(a, b))
    found = []
    for _ in range(draws):
        rng.shuffle(bins)
        one = np.bincount(bins[:sum(a)], minlength=len(a))
        found.append(jensenshannon(one, np.add(a, b) - one, 2) ** 2)
    return np.array(found)


@pytest.mark.parametrize("shift", [0.0, 0.015, 0.03])
def test_p_and_chance_are_those_of_a_permutation_test(shift):
    a, b = draw(400, 0, 3), draw(150, shift, 4)
    null, found = permute(a, b), compare_counts(a, b, 0.05)
    assert found["p"] == pytest.approx((null >= found["js"]).mean(), abs=0.03)
    assert found["chance"] == pytest.approx(np.quantile(null, 0.95), rel=0.08)


def test_too_few_pictures_tell_nothing_and_the_same_twice_is_no_change():
    few = compare_counts(draw(29, 0, 1), draw(500, 0, 2), 0.05)
    assert few["js"] is None and few["reason"] == "fewer than 30 pictures" and not few["changed"]
    assert not compare_counts([0, 50, 0], [0, 900, 0], 0.05)["changed"]
    apart = compare_counts([50, 0], [0, 50], 0.001)
    assert apart["changed"] and apart["js"] == pytest.approx(1) and apart["high"] == 1


def test_without_a_change_one_evaluation_in_twenty_is_called_at_most_and_planted_ones_are_found():
    rng = np.random.default_rng(5)
    quiet = picture_drift.watch_quiet(500, 200, True, 12, rng)
    assert quiet["called"] <= 4 and quiet["failed"] == 0, "at 5%, 5 or more of 12 come once in 6,000 times"
    assert picture_drift.find_planted(picture_drift.PLANTED["20% darker"], 200, 5, rng)["called"] == 5
    assert share_error(40) == 0.05 / 40


def test_quantiles_are_exact_where_all_pictures_of_a_bin_are_alike_and_near_numpys_otherwise():
    def of(name, values):
        measure = BY_NAME[name]
        at = np.searchsorted(measure.edges, values, side="right")
        size = len(measure.edges) + 1
        sums = np.bincount(at, np.round(np.array(values) * measure.scale), size)
        return Histogram(counts=np.bincount(at, minlength=size).tolist(), sums=[int(s) for s in sums], none=0), measure

    assert describe_spread(*of("pixels", [3072.0] * 9)) == {"low": 3072, "median": 3072, "high": 3072}
    values = np.random.default_rng(1).normal(0.5, 0.1, 4000)
    found = describe_spread(*of("brightness", values))
    assert list(found.values()) == pytest.approx(np.quantile(values, [0.1, 0.5, 0.9]).tolist(), abs=0.006)
    assert find_limits(*of("pixels", [3072.0] * 9)) is None, "quarters of one value tell nothing"
    assert find_limits(*of("brightness", values)) == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]).tolist(), abs=0.006)


def test_accuracy_by_quarters_counts_each_row_once_in_its_quarter():
    rng = np.random.default_rng(2)
    values = {name: np.full(400, np.nan) for name in BY_NAME} | {"brightness": rng.uniform(0, 1, 400)}
    right = values["brightness"] > 0.3
    measure = BY_NAME["brightness"]
    at = np.searchsorted(measure.edges, values["brightness"], side="right")
    sums = np.bincount(at, values["brightness"] * measure.scale, 24).astype(int).tolist()
    none = {name: [0] * (len(m.edges) + 1) for name, m in BY_NAME.items()}
    empty = {name: Histogram(counts=zeros, sums=zeros, none=0) for name, zeros in none.items()}
    found = judge_bands(values, right, empty | {"brightness": Histogram(counts=np.bincount(at, minlength=24).tolist(), sums=sums,
                                                                        none=0)}, 0.95)
    assert [b["measure"] for b in found] == ["brightness"] * 4 and sum(b["labelled"] for b in found) == 400
    for band in found:
        mine = (values["brightness"] >= (band["at_least"] or 0)) & (values["brightness"] < (band["below"] or 2))
        assert band["accuracy"]["value"] == pytest.approx(right[mine].mean()) and band["labelled"] == mine.sum()
