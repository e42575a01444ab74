"""Fits what makes a network's confidence come true: a temperature, or a factor and an offset for each class.

C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: the negative log likelihood of held-out rows is least.
In b = 1 / T the loss is convex, so the temperature is where its slope is 0, found between two bounds: one answer, whatever
the start. A network that is right on all of few rows would be made infinitely sure (T to 0); so one further row is counted, of
average outputs, whose label is each class alike (J. Platt, 1999, smooths his targets in the same way). Of n rows it has the
weight 1 / (n + 1).
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import log_softmax, softmax

from contract.errors import EmptyData, NotFinite

COOLEST, HOTTEST = 0.05, 20.0
DIGITS = 4  # kept: sums of another machine differ in the last bits


class Vector(NamedTuple):
    """A factor and an offset for each class, float64 [classes]: softmax(logits * scale + bias)."""

    scale: np.ndarray
    bias: np.ndarray


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Finds the temperature, 0.05 to 20, of float [n, classes] logits whose classes are `truth`, int [n].

    1 where no temperature changes anything (all outputs of each row are equal). EmptyData without rows, NotFinite.
    """
    z = _check(logits)
    z -= z.max(1, keepdims=True)  # which softmax does not see
    wanted = _wanted(z, truth)

    def slope(b: float) -> float:
        return float(((softmax(b * z, axis=1) * z).sum(1) - wanted).mean())

    if not np.ptp(z, axis=1).any():
        return 1.0
    low, high = 1 / HOTTEST, 1 / COOLEST
    if slope(low) >= 0:
        return HOTTEST
    if slope(high) <= 0:
        return COOLEST
    return round(1 / brentq(slope, low, high, xtol=1e-12), DIGITS)


def fit_vector(logits: np.ndarray, truth: np.ndarray) -> Vector:
    """Finds a factor and an offset for each class of float [n, classes] logits whose classes are `truth`, int [n].

    Both are held near 1 and 0 by a normal prior of variance 1, which tells little where a class has rows. L-BFGS in float64
    from (1, 0) of a convex function. EmptyData without rows, NotFinite.
    """
    z = _check(logits)
    n, classes = z.shape
    target = np.full(z.shape, 1 / ((n + 1) * classes))
    target[np.arange(n), truth] += n / (n + 1)

    def loss(both: np.ndarray) -> tuple[float, np.ndarray]:
        scale, bias = both.reshape(2, classes)
        scaled = z * scale + bias
        off = softmax(scaled, axis=1) - target
        value = -(target * log_softmax(scaled, axis=1)).sum() / n + (((scale - 1) ** 2).sum() + (bias ** 2).sum()) / (2 * n)
        return float(value), np.concatenate([((off * z).sum(0) + scale - 1) / n, (off.sum(0) + bias) / n])

    start = np.concatenate([np.ones(classes), np.zeros(classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8})
    scale, bias = np.round(found.x.reshape(2, classes), DIGITS)
    return Vector(scale, bias)


def measure_loss(logits: np.ndarray, truth: np.ndarray) -> float:
    """Computes the mean negative log likelihood, in nats, of float [n, classes] logits whose classes are `truth`."""
    return float(-log_softmax(_check(logits), axis=1)[np.arange(len(truth)), truth].mean())


def _check(logits: np.ndarray) -> np.ndarray:
    """Returns the logits as float64, a copy."""
    z = np.array(logits, np.float64)
    if not len(z):
        raise EmptyData("expected outputs of at least one row to calibrate on, got none.")
    if not np.isfinite(z).all():
        raise NotFinite("expected finite outputs to calibrate on, got NaN or infinity. The weights are damaged or overflow.")
    return z


def _wanted(z: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns each row's output of its class, with the further row's part."""
    n = len(z)
    return (n * z[np.arange(n), truth] + z.mean(1)) / (n + 1)
