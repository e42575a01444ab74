"""The figures of a replay are sums over pairs of answers: by brute force."""

import math
import random
from collections import Counter

import pytest
from scipy.stats import binomtest

from metrics.significance.replayed import Comparison, Pair, rank_disagreement

DAY = "2026-11-20"


def make_pairs(rng, n):
    labels, odd = ["a", "b", "c", "≠"], [None, math.nan, 0.5, 0.9, 0.9, 1.0, 1.5]
    return [Pair(f"id {k:04}", rng.choice("12"), rng.choice("abc"), rng.choice(odd), rng.choice("abcd"), rng.choice(odd),
                 *((rng.choice(labels), rng.choice(["audit", "review", "feedback"]), rng.choice([None, 0.25, 1.0]))
                   if rng.random() < 0.7 else (None, None, None)), {"day": DAY}) for k in range(n)]


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_sums_over_pairs_however_they_come(seed):
    rng, whole = random.Random(seed), Comparison()
    pairs = make_pairs(rng, 400)
    for part in (pairs[:100], pairs[100:101], pairs[101:]):
        whole.add(part)
    found = whole.to_dict(["audit"], least=20)
    assert (found["replayed"], found["agreed"]) == (400, sum(p.live == p.replay for p in pairs))
    flips = Counter((p.live, p.replay) for p in pairs if p.live != p.replay)
    assert [(f["live"], f["replay"], f["count"]) for f in found["flips"]] == sorted(
        ((a, b, n) for (a, b), n in flips.items()), key=lambda f: (-f[2], f[0], f[1]))
    named = [p for p in pairs if p.label not in (None, "≠")]
    assert found["labels"]["unnamed"] == sum(p.label == "≠" for p in pairs) and found["labels"]["decides"] == "audit"
    assert set(found["labels"]["by_origin"]) == {"audit", "review", "feedback"}
    for origin, of in found["labels"]["by_origin"].items():
        rows = [p for p in named if p.origin == origin]
        assert of["n"] == len(rows) == sum(row["n"] for row in of["per_class"])
        assert of["candidate"]["value"] == pytest.approx(sum(p.replay == p.label for p in rows) / len(rows))
        weighted = [p for p in rows if p.p]
        gain = sum(((p.replay == p.label) - (p.live == p.label)) / p.p for p in weighted)
        assert of["weighted"]["value"] == pytest.approx(gain / sum(1 / p.p for p in weighted))
    assert whole.to_dict(["audit"], least=10_000)["labels"]["decides"] is None
    apart = [p for p in pairs if p.live != p.replay]
    ranked = sorted(apart, key=rank_disagreement)
    assert [d["prediction_id"] for d in found["strongest"]] == [p.prediction_id for p in ranked[:50]]
    sure = [min(p.live_confidence, p.replay_confidence) for p in ranked
            if all(c is not None and 0 <= c <= 1 for c in (p.live_confidence, p.replay_confidence))]
    assert sure == sorted(sure, reverse=True)


def test_mcnemar_is_that_of_scipy():
    whole = Comparison()
    whole.add(make_pairs(random.Random(9), 300))
    by_origin = whole.to_dict([], 1)["labels"]["by_origin"]
    assert set(by_origin) == {"audit", "review", "feedback"}
    for of in by_origin.values():
        only, both = of["only_candidate"], of["only_candidate"] + of["only_live"]
        assert of["mcnemar"]["two_sided"] == pytest.approx(binomtest(only, both).pvalue)
