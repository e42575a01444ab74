"""Intervals and exact tests for counted shares.

Shares: Wilson (1927), on the effective sample size where rows are weighted. Gates: exact binomial tails, Holm (1979),
McNemar's exact test. Statistics without a closed form: a Poisson bootstrap over cells with a fixed seed.
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

CONFIDENCE = 0.95
REPLICATES, SEED = 400, 20_260_101
SMALLEST_SUPPORT = 30  # below it the bootstrap's interval does not hold, so none is given


def z_of(confidence: float) -> float:
    """The two-sided normal quantile, 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(right: Any, n: Any, confidence: float = CONFIDENCE) -> tuple[Any, Any]:
    """Wilson's score interval for `right` of `n` > 0 (scalars or arrays; n may be an effective size, not whole)."""
    right, n = np.asarray(right, float), np.asarray(n, float)
    z = z_of(confidence)
    share = right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(np.maximum(share * (1 - share), 0) / n + (z / (2 * n)) ** 2)
    # At the ends the formula gives 0 and 1 but for rounding; a bound of 1 must be reachable.
    low = np.where(right <= 0, 0.0, np.maximum(centre - half, 0))
    high = np.where(right >= n, 1.0, np.minimum(centre + half, 1))
    return low, high


def effective_size(weight: int, weight_squared: int) -> float:
    """Kish's (sum w)^2 / sum w^2: how many equally weighted rows tell as much."""
    return weight * weight / weight_squared


def newcombe(right_a: int, n_a: int, right_b: int, n_b: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of share a - share b of two independent samples (Newcombe 1998, method 10)."""
    a, b = right_a / n_a, right_b / n_b
    (low_a, high_a), (low_b, high_b) = wilson(right_a, n_a, confidence), wilson(right_b, n_b, confidence)
    low = a - b - np.hypot(a - low_a, high_b - b)
    return float(low), float(a - b + np.hypot(high_a - a, b - low_b))


def paired_difference(both: int, only_a: int, only_b: int, neither: int,
                      confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of share a - share b over the same rows (Newcombe 1998 for paired data, method 10)."""
    n = both + only_a + only_b + neither
    a, b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson(a * n, n, confidence), wilson(b * n, n, confidence)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    cross = both * neither - only_a * only_b
    phi = (max(cross - n / 2, 0) if cross > 0 else cross) / np.sqrt(margins) if margins else 0.0
    down, up = (a - low_a, high_b - b), (high_a - a, b - low_b)
    low = a - b - np.sqrt(max(down[0] ** 2 - 2 * phi * down[0] * down[1] + down[1] ** 2, 0))
    return float(low), float(a - b + np.sqrt(max(up[0] ** 2 - 2 * phi * up[0] * up[1] + up[1] ** 2, 0)))


def p_at_least(right: Any, n: Any, bound: Any) -> Any:
    """Exact one-sided p of "the share is >= bound": P(X <= right) for X ~ Binomial(n, bound); small speaks against."""
    from scipy.special import bdtr

    return bdtr(np.asarray(right, float), np.asarray(n, np.int64), np.asarray(bound, float))


def p_at_most(right: Any, n: Any, bound: Any) -> Any:
    """Exact one-sided p of "the share is <= bound": P(X >= right) for X ~ Binomial(n, bound); small speaks against."""
    from scipy.special import bdtrc

    right = np.asarray(right, float)
    return np.where(right <= 0, 1.0, bdtrc(np.maximum(right - 1, 0), np.asarray(n, np.int64), np.asarray(bound, float)))


def clopper_pearson(right: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact two-sided interval of a share (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if right <= 0 else float(betaincinv(right, n - right + 1, tail))
    return low, 1.0 if right >= n else float(betaincinv(right + 1, n - right, 1 - tail))


def holm(p_values: Any) -> Any:
    """Holm's adjusted p values, in the order given: reject where <= alpha, and the family's error is <= alpha."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    adjusted = np.empty_like(p)
    adjusted[order] = steps
    return adjusted


def mcnemar(only_a: int, only_b: int) -> dict[str, float]:
    """McNemar's exact test on the rows that only one of two models got right.

    `two_sided`: p of "no difference"; `a_worse`, `b_worse`: one-sided p of "that one is not worse", small speaks for
    worse.
    """
    n = only_a + only_b
    a_worse, b_worse = float(p_at_least(only_a, n, 0.5)), float(p_at_least(only_b, n, 0.5))
    return {"two_sided": min(2 * min(a_worse, b_worse), 1.0), "a_worse": a_worse, "b_worse": b_worse}


def poisson_bootstrap(counts: Any, statistic: Callable[[Any], Any], confidence: float = CONFIDENCE,
                      replicates: int = REPLICATES, seed: int = SEED) -> tuple[Any, Any]:
    """Percentile intervals when each cell's count varies as Poisson(count).

    `statistic` takes counts of shape (r, cells) and gives (r,) values or (r, k) of k statistics; so do low and high
    have shape () or (k,). The seed is fixed, so the same counts give the same intervals.
    """
    counts = np.asarray(counts)
    rng = np.random.default_rng(seed)
    rows = max(1, 2_000_000 // max(len(counts), 1))  # 16 MB of draws at a time
    parts = [statistic(rng.poisson(counts, (min(rows, replicates - start), len(counts))))
             for start in range(0, replicates, rows)]
    tail = (1 - confidence) / 2
    return tuple(np.quantile(np.concatenate(parts), [tail, 1 - tail], axis=0))
