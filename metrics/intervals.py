"""Intervals for counted shares and their differences.

Shares: Wilson (1927), on the effective sample size where rows are weighted. Differences: Newcombe (1998). Statistics
without a closed form: a jackknife over independent groups (Tukey 1958).

Wilson's formula is written out, though scipy.stats has it (binomtest(…).proportion_ci): that takes one share of whole
counts at a time, and an evaluation asks for ten thousand classes and for effective sizes that are not whole; and
importing scipy.stats takes more than a second. tests/metrics/test_intervals.py compares it with scipy.stats.
"""

import math
from statistics import NormalDist
from typing import Any

import numpy as np

CONFIDENCE = 0.95
SEED = 20_260_101
BISECTIONS = 60  # of a right angle: to the last digit of a double
SMALLEST_SUPPORT = 30  # below it an interval of an average or of F1 does not hold, so none is given


def tail_of(confidence: float) -> float:
    """Returns what a two-sided interval leaves out on each side: 0.025 for 0.95."""
    return (1 - confidence) / 2


def z_of(confidence: float) -> float:
    """Returns the two-sided normal quantile, 1.96 for 0.95, from Python's own library: every command can afford that."""
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


def paired_interval(both: int, only_a: int, only_b: int, neither: int,
                      confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of share a - share b over the same rows (Newcombe 1998 for paired data, method 10)."""
    n = both + only_a + only_b + neither
    a, b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson(a * n, n, confidence), wilson(b * n, n, confidence)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    cross = both * neither - only_a * only_b
    phi = (max(cross - n / 2, 0) if cross > 0 else cross) / np.sqrt(float(margins)) if margins else 0.0
    down, up = (a - low_a, high_b - b), (high_a - a, b - low_b)
    low = a - b - np.sqrt(max(down[0] ** 2 - 2 * phi * down[0] * down[1] + down[1] ** 2, 0))
    return float(low), float(a - b + np.sqrt(max(up[0] ** 2 - 2 * phi * up[0] * up[1] + up[1] ** 2, 0)))


def jackknife(value: float, without: Any, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a statistic from its values without each of d > 1 independent groups: Student's with d - 1 degrees.

    The variance is (d - 1) / d times the sum of squares around the mean of `without` (Efron and Stein 1981).
    """
    without = np.asarray(without, float)
    d = len(without)
    spread = np.sqrt((d - 1) / d * ((without - without.mean()) ** 2).sum())
    half = float(t_of(confidence, d - 1) * spread)
    return value - half, value + half


def t_of(confidence: float, degrees: int) -> float:
    """Returns the two-sided quantile of Student's t, 2.23 for 0.95 and 10 degrees of freedom (1 at least).

    By bisection of P(|t| < √degrees · tan θ), a sum of powers of cos θ (Abramowitz and Stegun 26.7.3 and 26.7.4): for one
    number, scipy.special takes longer to import than all figures of an evaluation together.
    """
    least, most = 0.0, math.pi / 2
    for _ in range(BISECTIONS):
        angle = (least + most) / 2
        least, most = (angle, most) if _share_within(angle, degrees) < confidence else (least, angle)
    return math.sqrt(degrees) * math.tan((least + most) / 2)


def _share_within(angle: float, degrees: int) -> float:
    odd, cosine = degrees % 2, math.cos(angle)
    term = math.sin(angle) * (cosine if odd else 1.0) * (degrees > 1)
    total = term
    for k in range(2 + odd, degrees, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + total) if odd else total
