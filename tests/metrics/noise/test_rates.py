"""Rates of error from agreement: exact on expected values, and on made votes near the truth."""

from itertools import product

import numpy as np
import pytest

from benchmarks import label_noise
from metrics.noise.checks import find_failed, run_checks
from metrics.noise.gold import GoldVotes, from_gold
from metrics.noise.judge import complement, judge
from metrics.noise.rates import find_signal, from_pairs, from_triples, solve_moments
from metrics.noise.spread import bound_ratio
from metrics.noise.votes import add_up, collect_votes


def expect_agreement(noise, classes):
    """Summed over all outcomes of two votes on a picture of class 0: P(they agree)."""
    p = [1 - noise] + [noise / (classes - 1)] * (classes - 1)
    return sum(p[a] * p[b] for a, b in product(range(classes), repeat=2) if a == b)


@pytest.mark.parametrize(("noise", "classes"), [(0.1, 2), (0.1, 10), (0.3, 3), (0.0, 5)])
def test_agreement_tells_the_rate_exactly(noise, classes):
    signal = float(find_signal(np.array(expect_agreement(noise, classes)), classes))
    assert (1 - signal) * (classes - 1) / classes == pytest.approx(noise)


def make_votes(noise, classes, accuracy, copies=100):
    """Items of every outcome of three votes and a prediction, weighted by its probability: an infinite log."""
    truth, vote = np.arange(classes), np.arange(classes)
    label, predicted, probability = [], [], []
    for t, p, *three in product(truth, vote, vote, vote, vote):
        right = accuracy if p == t else (1 - accuracy) / (classes - 1)
        chance = right / classes * np.prod([1 - noise[t] if v == t else noise[t] / (classes - 1) for v in three])
        if chance:
            label.append(three)
            predicted.append(p)
            probability.append(1 / chance)
    label, predicted, probability = (np.repeat(np.array(x), copies, 0) for x in (label, predicted, probability))
    return collect_votes(classes, np.repeat(np.arange(len(label)), 3), label.ravel(), predicted, probability,
                         np.full(len(label), np.nan))


def test_one_rate_is_exact_on_an_infinite_log():
    found = from_pairs(add_up(make_votes([0.12] * 3, 3, 0.85)), 0.95)
    assert found.accuracy["value"] == pytest.approx(0.85) and found.ceiling["value"] == pytest.approx(0.88)


def test_rates_by_class_are_exact_where_two_classes_differ():
    moments = add_up(make_votes([0.05, 0.2], 2, 0.9))
    found = from_triples(moments, 0.95)
    assert found.method == "triples" and found.accuracy["value"] == pytest.approx(0.9)
    assert found.ceiling["value"] == pytest.approx(0.875)
    assert [found.of_class[c][1]["value"] for c in (0, 1)] == pytest.approx([0.05, 0.2])
    assert from_pairs(moments, 0.95).accuracy["value"] != pytest.approx(0.9, abs=1e-3)


def test_moments_of_a_mixture_give_it_back():
    share, named, misnamed = np.array([0.1, 0.4]), np.array([0.9, 0.7]), np.array([0.01, 0.1])
    one, two, three = (share * named**k + (1 - share) * misnamed**k for k in (1, 2, 3))
    a, b, solved = solve_moments(one, two, three)
    assert solved.all() and a == pytest.approx(named) and b == pytest.approx(misnamed)


def test_the_interval_of_a_ratio_is_fiellers_where_limits_are_symmetric():
    a, b, sa, sb, rho = 0.6, 0.8, 0.05, 0.04, 0.3
    low, high = bound_ratio((a, a - sa, a + sa), (b, b - sb, b + sb), rho)
    for x in (low, high):  # Fieller: |a - x b| is as large as its own half width
        assert (a - x * b) ** 2 == pytest.approx(sa**2 + x**2 * sb**2 - 2 * rho * x * sa * sb)
    assert low < a / b < high
    assert bound_ratio((a, a - sa, a + sa), (b, -0.01, 1), 0) is None


@pytest.mark.parametrize("world", [w for w in label_noise.WORLDS if w.kind != "independent"], ids=str)
def test_what_breaks_the_correction_is_noticed(world):
    rng = np.random.default_rng(3)
    votes, _ = label_noise.draw_votes(world, rng)
    moments = add_up(votes)
    pairs = from_pairs(moments, 0.95)
    failed = {check.name for check in find_failed(run_checks(moments, pairs))}
    assert failed & ({"classes"} if world.kind == "by class" else {"confidence"})


def test_independent_noise_is_corrected_and_raw_does_not_cover():
    rows = label_noise.simulate(label_noise.World("independent", 10, 2), 60)
    assert rows["raw"] == 0 and rows["corrected"] >= 0.85 and rows["noticed"] <= 0.1 and abs(rows["bias"]) < 0.003


def test_hard_items_are_told_by_gold_items_alone():
    rng, world = np.random.default_rng(5), label_noise.World("hard", 10, 2, gold=True)
    votes, truth = label_noise.draw_votes(world, rng)
    without = judge(votes, GoldVotes(), 0.95)
    assert without.method is None and without.corrected["value"] is None
    assert "harder than others" in without.corrected["reason"] and "gold items would tell" in without.corrected["reason"]
    with_gold = judge(votes, label_noise.draw_gold(world, rng), 0.95)
    assert with_gold.method == "gold" and with_gold.corrected["low"] <= truth <= with_gold.corrected["high"]


def test_gold_items_give_rogan_and_gladens_share():
    n = 1000
    label = np.zeros(2 * n, int)
    label[:400] = 1  # of 2,000 single votes 1,600 name the answer
    votes = collect_votes(2, np.arange(2 * n), label, np.zeros(2 * n, int), np.ones(2 * n), np.full(2 * n, np.nan))
    accuracy, ceiling = from_gold(add_up(votes), GoldVotes(200, 180, 100, 30, 60), 0.95)
    assert accuracy["value"] == pytest.approx((0.8 - 0.3) / (0.9 - 0.3))
    assert ceiling["value"] == pytest.approx(accuracy["value"] * 0.9 + (1 - accuracy["value"]) * 0.6)


def test_second_opinions_that_were_asked_for_a_reason_are_noticed():
    rng, n = np.random.default_rng(2), 4000
    truth = rng.integers(0, 5, n)
    predicted, first, second = (label_noise._err(truth, np.full(n, 0.1), 5, rng) for _ in range(3))
    asked = np.flatnonzero((first != predicted) | (rng.random(n) < 0.1))
    item = np.concatenate([np.arange(n), asked])
    votes = collect_votes(5, item, np.concatenate([first, second[asked]]), predicted, np.ones(n), np.full(n, np.nan))
    found = judge(votes, GoldVotes(), 0.95)
    assert "ask for second opinions at random" in found.reason


def test_too_few_pairs_and_none_say_so():
    one = collect_votes(2, np.arange(5), np.zeros(5, int), np.zeros(5, int), np.ones(5), np.full(5, np.nan))
    assert "two blind votes of different people: 0, expected 100" in judge(one, GoldVotes(), 0.95).reason
    empty = np.array([], int)
    assert "no blind votes" in judge(collect_votes(2, empty, empty, empty, np.array([]), np.array([])), GoldVotes(), 0.95).reason


def test_votes_that_all_agree_leave_an_interval():
    n = 300
    votes = collect_votes(3, np.repeat(np.arange(n), 2), np.zeros(2 * n, int), np.zeros(n, int), np.ones(n), np.full(n, np.nan))
    found = judge(votes, GoldVotes(), 0.95)
    assert found.ceiling["value"] == 1 and 0.97 < found.ceiling["low"] < 1
    assert complement(found.ceiling)["low"] == 0
