"""How many more labels would decide a gate: numbers of labels from power, none of which is ever less than one.

A number of labels is enough when a decision, pass or fail, comes out in at least 80% of cases: if the share is exactly
as seen so far, and also on average over what it may be (the Beta posterior of what was seen, Jeffreys' prior), because
what was seen is itself uncertain. The larger of the two is asked for. A share at the bound needs more than anybody has:
above 100,000 the answer is None.
"""

from collections.abc import Callable
from math import ceil
from statistics import NormalDist

import numpy as np

from metrics.intervals import wilson, z_of
from metrics.significance.exact_tests import p_at_least

POWER = 0.8
MOST = 100_000
Cdf = Callable[[float], float]


def labels_to_decide(right: int, n: int, bound: float, level: float, confidence: float, least: int = 0) -> int | None:
    """Returns the labels to add to `right` of `n` until pass (low >= bound) or fail (p <= level) comes out with 80%.

    Never fewer than `least`.
    """
    seen, prior = right / n if n else None, (right + 0.5, n - right + 0.5)

    def power(m: int) -> float:
        at_least, at_most = _edges(n + m, bound, level, confidence)
        chances = [_decision_chance(right, m, at_least, at_most, _beta_binomial(m, *prior))]
        if seen is not None:
            chances.append(_decision_chance(right, m, at_least, at_most, _binomial(m, seen)))
        return min(chances)

    return _find_fewest(power, max(least, 1))


def labels_for_difference(right: tuple[int, int], n: tuple[int, int], difference: float, bound: float,
                          confidence: float) -> int | None:
    """Returns the labels to add to the first of two independent shares until their difference is told from `bound`.

    `right` and `n` are of (the judged share, the one it is compared with); the second stays as it is, and None is
    returned where it has too few itself.
    """
    if not all(n):
        return None
    variance = [(r + 1) / (m + 2) * (m - r + 1) / (m + 2) for r, m in zip(right, n, strict=True)]
    room = ((difference - bound) / _z(confidence)) ** 2 - variance[1] / n[1]
    return _missing_to(variance[0] / room if room > 0 else None, n[0])


def labels_for_paired(only_a: int, only_b: int, n: int, difference: float, bound: float, confidence: float) -> int | None:
    """Returns the labels to add to `n` rows that two models answered until their difference is told from `bound`."""
    if not n or difference == bound:
        return None
    variance = (only_a + only_b + 1) / (n + 1) - difference**2
    return _missing_to(variance * (_z(confidence) / (difference - bound)) ** 2, n)


def labels_for_margin(error: float, margin: float, n: int, bound: float) -> int | None:
    """Returns the labels to add to `n` until an error that is biased upwards by its noise is told from `bound`.

    The margin shrinks with the square root of the labels, and the bias of the error seen with it.
    """
    return None if error == bound else _missing_to(n * (2 * margin / (error - bound)) ** 2, n)


def labels_for_interval(value: float, margin: float, n: int, bound: float, confidence: float) -> int | None:
    """Returns the labels to add to `n` until a mean is told from `bound`; `margin`: from it to the end of its interval that
    lies towards the bound."""
    return None if value == bound else _missing_to(n * (margin / z_of(confidence) * _z(confidence) / (value - bound)) ** 2, n)


def predictions_to_ask(labels: int, n: int, total: int) -> int:
    """Returns how many predictions a random audit asks until it has `labels` more of a class that has `n` of `total`."""
    return ceil(labels * total / n)


def _find_fewest(power: Callable[[int], float], least: int) -> int | None:
    """Returns the fewest m >= least with the power, to about 2%.

    Chance steps up and down with m, so the number that is returned has itself been tried.
    """
    if power(MOST) < POWER:
        return None
    high = least
    while power(high) < POWER:
        high = min(ceil(high * 1.5), MOST)
    low = max(least, ceil(high / 1.5))
    while high - low > max(high // 50, 1):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _edges(n: int, bound: float, level: float, confidence: float) -> tuple[int, int]:
    """Returns (fewest right that pass, most right that fail) of n labels; n + 1 and -1 where none does."""
    reach = int(8 * np.sqrt(n)) + 20  # more than 16 standard deviations to either side of the bound
    right = np.arange(max(int(bound * n) - 1, 0), min(int(bound * n) + reach, n) + 1)
    passing = right[wilson(right, n, confidence)[0] >= bound]
    below = np.arange(max(int(bound * n) - reach, 0), int(bound * n) + 2)
    failing = below[p_at_least(below, n, bound) <= level]
    return int(passing[0]) if len(passing) else n + 1, int(failing[-1]) if len(failing) else -1


def _decision_chance(right: int, m: int, at_least: int, at_most: int, cdf: Cdf) -> float:
    """Returns the chance that right + X passes or fails, X the right ones among m more."""
    passes = 1 - cdf(at_least - right - 1) if at_least - right <= m else 0.0
    return passes + (cdf(at_most - right) if at_most >= right else 0.0)


def _binomial(m: int, share: float) -> Cdf:
    """Returns P(X <= k) of a binomial; by scipy.special, for scipy.stats.binom takes a second to import."""
    from scipy.special import bdtr

    return lambda k: 0.0 if k < 0 else 1.0 if k >= m else float(bdtr(k, m, share))


def _beta_binomial(m: int, a: float, b: float) -> Cdf:
    """Returns P(X <= k) by averaging binomials over 200 equally likely shares.

    scipy.stats.betabinom sums its terms one by one, which takes seconds at m = 100,000, beside the second it takes to
    import.
    """
    from scipy.special import bdtr, betaincinv

    shares = betaincinv(a, b, (np.arange(200) + 0.5) / 200)
    return lambda k: 0.0 if k < 0 else 1.0 if k >= m else float(bdtr(np.full(200, float(k)), m, shares).mean())


def _z(confidence: float) -> float:
    return z_of(confidence) + NormalDist().inv_cdf(POWER)


def _missing_to(size: float | None, n: int) -> int | None:
    """Returns how many are missing to that size, and a tenth of it for what the normal approximation leaves out."""
    wanted = None if size is None else max(ceil(1.1 * size) - n, 1)
    return None if wanted is None or wanted > MOST else wanted
