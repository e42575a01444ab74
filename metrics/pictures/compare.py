"""How far the histogram of a measure is from another, beside what chance shows.

The distance is the Jensen-Shannon divergence in bits, as that of predicted classes (metrics/drift.py). What chance alone
shows is found by permutation: pictures of both sides are dealt anew into groups of these sizes (a multivariate
hypergeometric draw of the bins), 400 times with a fixed seed; a gamma distribution with the mean and variance of the 400
divergences gives the far tail, which 400 draws do not reach (2n JS ln 2 is close to chi-squared, which is a gamma).
benchmarks/picture_drift.py measures how often that calls a day that is like the others.
"""

from collections.abc import Sequence

import numpy as np
from typing_extensions import TypedDict

from contract.evidence.pictures import Distance
from contract.measured.document import Histogram
from contract.measured.measures import Measure
from metrics.drift import divergence_figure, jensen_shannon
from metrics.intervals import SEED, SMALLEST_SUPPORT

REPLICATES = 400
ERROR = 0.05  # of all comparisons of one evaluation together, when nothing changed
MOST_DRAWN = 10**9  # pictures that numpy deals by hypergeometric draws


class Spread(TypedDict):
    """The median of a measure, and between what four in five of the pictures lie; null without pictures."""

    low: float | None
    median: float | None
    high: float | None


def share_error(comparisons: int) -> float:
    """The error of one comparison of so many (Bonferroni): whatever depends on what, all together have ERROR at most."""
    return ERROR / max(comparisons, 1)


def can_compare(reference: Sequence[int], current: Sequence[int]) -> bool:
    """Whether both sides have pictures enough: 30."""
    return min(sum(reference), sum(current)) >= SMALLEST_SUPPORT


def compare_counts(reference: Sequence[int], current: Sequence[int], error: float) -> Distance:
    """The distance of two histograms over the same bins; `error`: the p below which it is called a change.

    Null with a reason when a side has fewer than 30 pictures.
    """
    sides = [np.asarray(side, np.int64) for side in (reference, current)]
    if not can_compare(reference, current):
        return {"js": None, "low": None, "high": None, "chance": None, "p": None, "changed": False,
                "reason": f"fewer than {SMALLEST_SUPPORT} pictures"}
    js = max(float(jensen_shannon(*sides)), 0.0)
    p, chance = _find_chance(sides, js, error)
    figure = divergence_figure(js, chance)
    return {"js": js, "low": figure["low"], "high": min(figure["high"], 1.0), "chance": chance, "p": p, "changed": p <= error}


def _find_chance(sides: Sequence[np.ndarray], js: float, error: float) -> tuple[float, float]:
    """The probability of a divergence of `js` or more by chance, and the divergence that chance exceeds with `error`."""
    from scipy.special import gammaincc, gammainccinv

    null = jensen_shannon(*_deal(sides))
    mean, variance = float(null.mean()), float(null.var())
    if variance <= 0:  # all pictures lie in one bin
        return (1.0, 0.0) if js <= mean else (0.0, 0.0)
    shape, scale = mean * mean / variance, variance / mean
    return float(gammaincc(shape, js / scale)), float(gammainccinv(shape, error) * scale)


def _deal(sides: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Two groups of the sizes of the sides, 400 times, of all their pictures dealt at random."""
    rng, pooled, size = np.random.default_rng(SEED), sides[0] + sides[1], int(sides[1].sum())
    if pooled.sum() < MOST_DRAWN:
        dealt = rng.multivariate_hypergeometric(pooled, size, REPLICATES, method="marginals")
        return pooled - dealt, dealt
    shares = pooled / pooled.sum()
    return rng.multinomial(int(sides[0].sum()), shares, REPLICATES), rng.multinomial(size, shares, REPLICATES)


def describe_spread(of: Histogram, measure: Measure) -> Spread:
    """The median and the tenths at both ends."""
    if not sum(of.counts):
        return {"low": None, "median": None, "high": None}
    low, median, high = (find_quantile(of, measure, part) for part in (0.1, 0.5, 0.9))
    return {"low": low, "median": median, "high": high}


def find_quantile(of: Histogram, measure: Measure, part: float) -> float:
    """About the value that `part` of the pictures lie below: linear between the means of neighbouring bins, each at the
    middle of its ranks. Exact where all pictures of a bin have one value, as sizes do."""
    filled = [k for k, n in enumerate(of.counts) if n]
    counts = np.array([of.counts[k] for k in filled], float)
    means = np.array([of.sums[k] for k in filled], float) / counts / measure.scale
    ranks = np.cumsum(counts) - counts / 2
    return float(np.interp(part * counts.sum(), ranks, means))
