"""The share of right rows of one origin class against a bound: the figure that `estimate` shows, and the test of it.

With equal probabilities it is a counted share, tested exactly. Where rows were drawn with unequal probabilities it is
Hajek's, and the binomial tail is taken at the size n* = v (1 - v) / V that its linearised variance V stands for:
p = I(1 - bound; n* - n* v, n* v + 1), the regularised incomplete beta function, which is the binomial tail itself where
n* and n* v are whole. The effective size in a tail is Korn and Graubard's (1998) idea for intervals of surveys. Few rows
with large weights decide such a share; below Kish's size of 100 nothing is told (simulated: benchmarks/gate_years.py).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from metrics.figure import share
from metrics.intervals import effective_size
from metrics.selection.estimate import NO_LABELS, estimate_linearised_size, hajek
from metrics.selection.origin_sums import Sums

ENOUGH_KISH = 100


def p_of_share(value: Any, size: Any, bound: Any) -> Any:
    """Returns the one-sided p of "the share is >= bound" for a share seen on `size` rows, which need not be whole.

    Takes numbers or arrays. Where both are whole counts it is `exact_tests.p_at_least`.
    """
    from scipy.special import betainc

    value, size = np.asarray(value, float), np.asarray(size, float)
    wrong = np.maximum(size - size * value, 0)
    tail = betainc(np.where(wrong > 0, wrong, 1), size * value + 1, 1 - np.asarray(bound, float))
    return np.where(wrong > 0, tail, 1.0)


def invert_test(value: float, size: float, level: float) -> tuple[float, float]:
    """Returns the interval that a one-sided test at `level` stands for on either side (Clopper and Pearson 1934).

    Its upper end is at or below a bound exactly where `p_of_share` is at most `level`.
    """
    from scipy.special import betaincinv

    right, wrong = size * value, max(size - size * value, 0.0)
    low = float(betaincinv(right, wrong + 1, level)) if right > 0 else 0.0
    return low, 1 - float(betaincinv(wrong, right + 1, level)) if wrong > 0 else 1.0


def judge_share(sums: Sums, bound: float, confidence: float, level: float) -> dict[str, Any]:
    """Returns the figure of one origin's rows with its test, all null without a row.

    `n`: the rows that it rests on; rows without a known weight stay out where the share is weighted. `right`: how many of
    them, null where weights are unequal. `n_effective`: Kish's size, `size`: n*. `level_low`, `level_high`: the interval
    of the test.
    """
    figure = hajek(sums, confidence) if sums.weighted else share(sums.right, sums.n, confidence, NO_LABELS)
    value, n = figure["value"], sums.n_weighted if sums.weighted else sums.n
    found = {"right": _count_right(sums), "n": n, "weighted": sums.weighted, "value": value, "low": figure["low"],
             "high": figure["high"], "n_effective": 0.0, "size": 0.0, "p": None, "level_low": None, "level_high": None}
    if value is None:
        return found
    size = estimate_linearised_size(sums) if sums.weighted else float(n)
    low, high = invert_test(value, size, level)
    kish = effective_size(sums.weight, sums.weight_squared) if sums.weighted else float(n)
    return found | {"n_effective": kish, "size": size, "p": float(p_of_share(value, size, bound)), "level_low": low,
                    "level_high": high}


def _count_right(sums: Sums) -> int | None:
    """Returns how many of the rows that count are right; None where these have unequal weights."""
    if not sums.weighted:
        return sums.right
    equal = sums.weight * sums.weight == sums.n_weighted * sums.weight_squared
    return sums.weight_right * sums.n_weighted // sums.weight if equal else None


def is_uneven(found: Mapping[str, Any]) -> bool:
    """Says whether unequal weights leave so little of the rows that no tail can be trusted."""
    return bool(found["n_effective"] < min(found["n"], ENOUGH_KISH))
