"""A figure in a document: {"value", "low", "high"}; without a denominator null with a "reason", never NaN."""

from typing import Any, overload

import numpy as np

from contract.documents.version_figures import Figure
from metrics import intervals


def missing(reason: str) -> Figure:
    """Returns a figure that could not be computed, and why."""
    return {"value": None, "low": None, "high": None, "reason": reason}


@overload
def ratio(part: float, whole: float) -> float: ...


@overload
def ratio(part: float, whole: float, empty: None) -> float | None: ...


def ratio(part: float, whole: float, empty: float | None = 0.0) -> float | None:
    """Returns part / whole, and `empty` where `whole` is 0: for shares that are shown without an interval."""
    return part / whole if whole else empty


def share(right: float, n: float, confidence: float, reason: str) -> Figure:
    """Returns `right` of `n` with Wilson's interval; a missing figure that gives `reason` when n is 0."""
    if not n:
        return missing(reason)
    low, high = intervals.wilson(right, n, confidence)
    return {"value": float(right / n), "low": float(low), "high": float(high)}


def shares(right: Any, n: Any, confidence: float, reason: str, missable: Any = 0) -> list[Figure]:
    """Returns `share` of each element of two arrays, computed for all of them at once.

    `missable`: rows beside the `n` that may have been missed; the lower bound counts them so.
    """
    right, n = np.asarray(right, float), np.asarray(n, float)
    size = np.where(n > 0, n, 1)
    low, high = intervals.wilson(np.minimum(right, size), size, confidence)
    if np.any(missable):
        low, _ = intervals.wilson(np.minimum(right, size), size + missable, confidence)
    return figures(np.where(n > 0, right / size, np.nan), low, high, [reason] * len(n))


def figures(value: np.ndarray, low: np.ndarray, high: np.ndarray, reasons: list[str]) -> list[Figure]:
    """Returns the figures of arrays; where `value` is NaN, a missing one with its reason."""
    return [missing(why) if v != v else {"value": v, "low": a, "high": b}
            for v, a, b, why in zip(value.tolist(), low.tolist(), high.tolist(), reasons, strict=True)]


def independent_difference(a: tuple[int, int], b: tuple[int, int], confidence: float) -> Figure:
    """Returns the figure of share a - share b of independent rows, each given as (right, n), with Newcombe's interval."""
    low, high = intervals.newcombe(*a, *b, confidence)
    return {"value": a[0] / a[1] - b[0] / b[1], "low": low, "high": high}
