"""Exact tests of counted shares: one share against a bound, two models on the same rows, and many tests at once.

The p values come from scipy.special's binomial tail, not from scipy.stats.binomtest and its like: importing scipy.stats
takes more than a second, which every command line would wait for, and its tests take one share at a time where the
gates have ten thousand classes. tests/metrics/significance/test_exact_tests.py compares them with scipy.stats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from metrics.figure import shares


def p_at_least(right: Any, n: Any, bound: Any) -> Any:
    """Returns the exact one-sided p of "the share is >= bound": P(X <= right) for X ~ Binomial(n, bound).

    Takes numbers or arrays. A small p speaks against the bound.
    """
    from scipy.special import bdtr

    return bdtr(np.asarray(right, float), np.asarray(n, np.int64), np.asarray(bound, float))


def shares_against(bound: float, right: Sequence[int], n: Sequence[int], confidence: float) -> list[dict[str, Any]]:
    """Returns {"value", "low", "high", "p"} of each share: Wilson's interval, and `p_at_least` the bound.

    All four are None where n is 0.
    """
    size = np.maximum(np.asarray(n, np.int64), 1)
    p = p_at_least(right, size, bound).tolist()
    return [{"value": row["value"], "low": row["low"], "high": row["high"], "p": p_of_row if n_of_row else None}
            for row, n_of_row, p_of_row in zip(shares(right, n, confidence, "no rows"), n, p, strict=True)]


def mcnemar(only_a: int, only_b: int) -> dict[str, float]:
    """Returns the p values of McNemar's exact test on the rows that only one of two models got right.

    `two_sided` is p of "no difference"; `a_worse` and `b_worse` are one-sided p of "that one is not worse": a small one
    speaks for worse.
    """
    n = only_a + only_b
    a_worse = float(p_at_least(only_a, n, 0.5))
    b_worse = float(p_at_least(only_b, n, 0.5))
    return {"two_sided": min(2 * min(a_worse, b_worse), 1.0), "a_worse": a_worse, "b_worse": b_worse}


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Returns Holm's (1979) adjusted p values in the order given: rejecting where <= alpha keeps the family's error there.

    scipy has no Holm: its false_discovery_control bounds the share of false rejections, not the chance of any.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    adjusted = np.empty_like(p)
    adjusted[order] = steps
    return adjusted


def divide_level(level: float, tests: int) -> float:
    """Returns the level of each of `tests` tests whose errors together are at most `level` (Bonferroni)."""
    return level / max(tests, 1)
