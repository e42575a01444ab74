"""How far figures made of `Moments` may lie from what they estimate: rows without each group tell it (jackknife)."""

from typing import Any

import numpy as np

from contract.documents.version_figures import Figure
from metrics.intervals import CONFIDENCE, wilson, z_of


def covary(a: np.ndarray, b: np.ndarray) -> float:
    """The jackknife covariance of two figures: row 0 is over all, the others are without one group (Efron and Stein 1981)."""
    of_a, of_b = a[1:] - a[1:].mean(0), b[1:] - b[1:].mean(0)
    return float((len(of_a) - 1) / len(of_a) * (of_a * of_b).sum(0))


def deviate(a: np.ndarray) -> float:
    """The standard error of a figure."""
    return float(np.sqrt(covary(a, a)))


def bound_share(share: np.ndarray, size: float, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a share at the size that its jackknife variance stands for; at Kish's `size` where nothing varies."""
    n = estimate_size(share, size)
    low, high = wilson(float(share[0]) * n, n, confidence)
    return float(low), float(high)


def estimate_size(share: np.ndarray, size: float) -> float:
    """How many equally weighted rows with one vote each would give the share the variance that it has."""
    value, variance = float(share[0]), covary(share, share)
    return value * (1 - value) / variance if variance > 0 and 0 < value < 1 else size


def figure_of(values: np.ndarray, confidence: float, least: float = 0.0, most: float = 1.0) -> Figure:
    """A figure with the normal interval of its jackknife, cut to what is possible."""
    value, half = float(values[0]), z_of(confidence) * deviate(values)
    value, low, high = (min(max(x, least), most) for x in (value, value - half, value + half))
    return {"value": value, "low": low, "high": high}


def find_error(figure: Figure) -> float:
    """The standard error that the width of a 95% interval stands for."""
    return ((figure["high"] or 0.0) - (figure["low"] or 0.0)) / (2 * z_of(CONFIDENCE))


def bound_ratio(top: tuple[float, float, float], bottom: tuple[float, float, float],
                correlation: float) -> tuple[float, float] | None:
    """The interval of a ratio from (value, low, high) of its parts, which may be asymmetric: MOVER (Donner and Zou 2012).

    Its ends solve (top - x bottom)^2 = d1^2 + x^2 d2^2 - 2 correlation x d1 d2, where d1 and d2 are the distances to the limits
    that matter for that end; with symmetric distances that is Fieller's interval. None where `bottom` may be 0.
    """
    (a, a_low, a_high), (b, b_low, b_high) = top, bottom
    if b_low <= 0:
        return None
    low = _solve(a, b, a - a_low, (b_high - b) if a > 0 else (b - b_low), correlation)
    high = _solve(a, b, a_high - a, (b - b_low) if a > 0 else (b_high - b), correlation)
    return (float(min(low)), float(max(high))) if low and high else None


def _solve(a: float, b: float, d1: float, d2: float, correlation: float) -> tuple[float, ...]:
    first, second, third = b * b - d2 * d2, a * b - correlation * d1 * d2, a * a - d1 * d1
    inside = max(second * second - first * third, 0.0)
    return ((second - np.sqrt(inside)) / first, (second + np.sqrt(inside)) / first) if first > 0 else ()


def divide(top: Any, bottom: Any) -> np.ndarray:
    """top / bottom, and 0 where `bottom` is 0."""
    bottom = np.asarray(bottom, float)
    return np.where(bottom != 0, np.asarray(top, float) / np.where(bottom != 0, bottom, 1), 0.0)
