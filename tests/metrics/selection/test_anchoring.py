"""What seeing the answer adds, against scipy's binomial test and simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks import anchoring as simulated
from metrics.selection.anchoring import BothWays, count_needed

NONE = BothWays(0, 0, 0, 0)


def test_pairs_are_counted_by_when_the_label_agreed():
    found = BothWays.of([(True, True), (True, False), (True, False), (False, True), (False, False)])
    assert found == BothWays(both=1, only_seen=2, only_blind=1, neither=1) and found.n == 5


def test_the_figures_follow_from_the_pairs():
    found = BothWays(both=80, only_seen=12, only_blind=2, neither=6)
    assert (found.seen()["value"], found.blind()["value"], found.added()["value"]) == pytest.approx((0.92, 0.82, 0.1))
    assert found.p() == pytest.approx(binomtest(2, 14).pvalue) and found.is_found()
    assert not BothWays(80, 7, 6, 7).is_found() and BothWays(80, 2, 12, 6).is_found()


def test_without_pairs_there_is_a_reason_and_a_plan():
    assert NONE.added()["value"] is None and NONE.added()["reason"] and NONE.p() is None and not NONE.is_found()
    needed = count_needed(0.06, NONE, 0.05)
    assert (needed["pairs"], needed["reviews"], needed["more_reviews"]) == (301, 6020, 6020)


def test_reviews_that_there_are_need_not_come_again_and_nothing_is_found_without_repeats():
    half = BothWays(120, 10, 10, 10)
    needed = count_needed(0.06, half, 0.05)
    assert needed["more_reviews"] == needed["reviews"] - 150 * 20
    waiting = count_needed(0.06, half, 0.05, waiting=40)
    assert waiting["reviews"] == needed["reviews"] and waiting["more_reviews"] == needed["more_reviews"] - 40 * 20
    assert count_needed(0.06, NONE, 0.0) == {"points": 0.06, "pairs": 301, "reviews": None, "more_reviews": None}
    assert count_needed(0.3, BothWays(4000, 100, 100, 500), 0.5)["more_reviews"] == 0


@pytest.mark.parametrize(("points", "error"), [(0.06, 0.01), (0.06, 0.1), (0.1, 0.04)])
def test_what_is_needed_follows_the_people_and_finds_the_difference_in_four_cases_of_five(points, error):
    """After 300 pairs without any effect, of people who are more or less careful than the plan has them."""
    rng = np.random.default_rng(3)
    people = ((1.0, error),)
    [seen] = simulated.draw_pairs(people, 3000, 0.0, 1, rng)
    pairs = count_needed(points, seen, 0.05)["pairs"]
    found = np.mean([drawn.is_found() for drawn in simulated.draw_pairs(people, pairs, points, 600, rng)])
    assert 0.72 < found < 0.93


def test_an_effect_that_is_there_already_is_taken_off_the_chance_differences():
    rng = np.random.default_rng(4)
    [with_effect] = simulated.draw_pairs(simulated.APART, 20_000, 0.06, 1, rng)
    [without] = simulated.draw_pairs(simulated.APART, 20_000, 0.0, 1, rng)
    a, b = (count_needed(0.06, found, 0.05)["pairs"] for found in (with_effect, without))
    assert a == pytest.approx(b, rel=0.08) and a == pytest.approx(301, rel=0.08)


def test_the_simulation_plants_what_it_says():
    rng = np.random.default_rng(5)
    [drawn] = simulated.draw_pairs(simulated.APART, 200_000, 0.06, 1, rng)
    assert drawn.added()["value"] == pytest.approx(0.06, abs=0.004)


def test_nothing_is_found_where_nothing_is_and_six_points_are_with_300_pairs():
    rng = np.random.default_rng(6)
    nothing = simulated.cover_repeats(simulated.APART, 300, 0.0, 800, rng)
    six = simulated.cover_repeats(simulated.APART, 300, 0.06, 800, rng)
    assert nothing["found"] < 0.05 and nothing["covered"] > 0.93
    assert six["found"] > 0.78 and six["covered"] > 0.93
    people = simulated.compare_people(200, rng)
    assert people["between: found"] > 0.9 and people["within: found"] < 0.06
