"""A figure in a document: {"value", "low", "high"}; without a denominator null with a "reason", never NaN."""

from typing import Any

import numpy as np

from contract.documents.evaluation import Figure
from metrics import intervals


def missing(reason: str) -> Figure:
    """A figure that could not be computed, and why."""
    return {"value": None, "low": None, "high": None, "reason": reason}


def share(right: float, n: float, confidence: float, reason: str) -> Figure:
    """`right` of `n` with Wilson's interval; `reason` is said when n is 0."""
    if not n:
        return missing(reason)
    low, high = intervals.wilson(right, n, confidence)
    return {"value": float(right / n), "low": float(low), "high": float(high)}


def shares(right: Any, n: Any, confidence: float, reason: str) -> list[Figure]:
    """The same for whole arrays at once."""
    right, n = np.asarray(right, float), np.asarray(n, float)
    size = np.where(n > 0, n, 1)
    low, high = intervals.wilson(np.minimum(right, size), size, confidence)
    return figures(np.where(n > 0, right / size, np.nan), low, high, [reason] * len(n))


def figures(value: Any, low: Any, high: Any, reasons: list[str]) -> list[Figure]:
    """Figures of arrays; where the value is NaN the reason is said instead."""
    return [missing(why) if v != v else {"value": v, "low": a, "high": b}
            for v, a, b, why in zip(value.tolist(), low.tolist(), high.tolist(), reasons, strict=True)]
