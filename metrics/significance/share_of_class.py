"""Shares of many classes or slices against a bound, plain or weighted, with rows that may belong and were not counted.

Weighted shares are Hajek's on the rows of a class, tested by the binomial tail (share_of_origin.py) at the smaller of two
effective sizes: the linearised one, and Kish's. The linearised size alone is far too large where one to three heavy rows
are expected and did not come: at 20 labels and a level of 0.0001 its test failed healthy classes 71 times as often as it
said (simulated: benchmarks/class_gates.py).
"""

from collections.abc import Sequence
from typing import Any

from metrics.figure import shares
from metrics.intervals import effective_size, wilson
from metrics.selection.estimate import estimate_linearised_size
from metrics.selection.origin_sums import Sums
from metrics.significance.exact_tests import shares_against
from metrics.significance.share_of_origin import p_of_share

NOTHING: dict[str, Any] = {"value": None, "low": None, "high": None, "p": None}


def judge_counted(bound: float, found: Sequence[tuple[int, int, int]], confidence: float) -> list[dict[str, Any]]:
    """Returns {"right", "n", "value", "low", "high", "p", "low_named"} of each (right, n, missable): an exact test.

    `missable` rows were called wrong without a class and may belong to this one: `low` counts them as missed, `low_named`
    does not (rule 4a). Null without a row.
    """
    right, n, missable = zip(*found, strict=True) if found else ((), (), ())
    rows = shares_against(bound, right, n, confidence)
    lows = [row["low"] for row in shares(right, n, confidence, "no rows", missable)]
    return [{"right": r, "n": size, **row, "low": low, "low_named": row["low"]}
            for r, size, row, low in zip(right, n, rows, lows, strict=True)]


def judge_weighted(bound: float, sums: Sums, missable: Sums, confidence: float) -> dict[str, Any]:
    """Returns the same of one class whose rows were drawn with known unequal probabilities, and `n_effective`: Kish's size.

    `right` is null: the rows have no count that the share comes from.
    """
    row: dict[str, Any] = {"right": None, "n": sums.n_weighted, "n_effective": 0.0, "low_named": None, **NOTHING}
    if not sums.n_weighted:
        return row
    value, size = _share_and_size(sums)
    low, high = (float(x) for x in wilson(value * size, size, confidence))
    with_missed = sums + missable
    least, smaller = _share_and_size(with_missed)
    low_all = min(low, float(wilson(least * smaller, smaller, confidence)[0])) if missable.n_weighted else low
    return row | {"n_effective": effective_size(sums.weight, sums.weight_squared), "value": value, "low": low_all,
                  "high": high, "p": float(p_of_share(value, size, bound)), "low_named": low}


def _share_and_size(sums: Sums) -> tuple[float, float]:
    """The weighted share, and the smaller of its linearised and Kish's size."""
    kish = effective_size(sums.weight, sums.weight_squared)
    return sums.weight_right / sums.weight, min(estimate_linearised_size(sums), kish)
