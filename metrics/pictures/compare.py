"""How far the histogram of a measure is from another, beside what chance shows.

The distance is the Jensen-Shannon divergence in bits, as that of predicted classes (metrics/drift.py). What chance alone
shows is found by permutation: pictures of both sides are dealt anew into groups of these sizes (a multivariate
hypergeometric draw of the bins), 400 times with a fixed seed; a gamma distribution with the mean and variance of the 400
divergences gives the far tail, which 400 draws do not reach (the divergence is nearly chi-squared, which is a gamma). Where
the p that this gives is near the error, as many draws follow as tell exactly, so that the error is a permutation test's.
benchmarks/picture_drift.py measures how often a day is called that is like the others.
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
CLEARLY_NOT, CLEARLY = 5, 1e-3  # times the error: beyond these the gamma distribution decides
DRAWS, AT_ONCE, MOST_DRAWS = 10, 2000, 200_000  # draws by error; so many at once; at most
ROUNDING = 1e-12
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

    rng = np.random.default_rng(SEED)
    null = jensen_shannon(*_deal(sides, rng, REPLICATES))
    mean, variance = float(null.mean()), float(null.var())
    if variance <= 0:  # all pictures lie in one bin
        return (1.0, 0.0) if js <= mean else (0.0, 0.0)
    shape, scale = mean * mean / variance, variance / mean
    p, chance = float(gammaincc(shape, js / scale)), float(gammainccinv(shape, error) * scale)
    near = CLEARLY * error <= p <= CLEARLY_NOT * error
    return (_permute(sides, js, error, rng) if near else p), chance


def _permute(sides: Sequence[np.ndarray], js: float, error: float, rng: np.random.Generator) -> float:
    """The p of a permutation test, (1 + draws that are as far) / (1 + draws); it stops when it is sure to be above the error."""
    most = min(int(DRAWS / error), MOST_DRAWS)
    drawn = as_far = 0
    while drawn < most:
        n = min(AT_ONCE, most - drawn)
        as_far += int((jensen_shannon(*_deal(sides, rng, n)) >= js - ROUNDING).sum())
        drawn += n
        if 1 + as_far > error * (1 + most):
            break
    return (1 + as_far) / (1 + drawn)


def _deal(sides: Sequence[np.ndarray], rng: np.random.Generator, times: int) -> tuple[np.ndarray, np.ndarray]:
    """Two groups of the sizes of the sides, so many times, of all their pictures dealt at random."""
    pooled, size = sides[0] + sides[1], int(sides[1].sum())
    if pooled.sum() < MOST_DRAWN:
        dealt = rng.multivariate_hypergeometric(pooled, size, times, method="marginals")
        return pooled - dealt, dealt
    shares = pooled / pooled.sum()
    return rng.multinomial(int(sides[0].sum()), shares, times), rng.multinomial(size, shares, times)


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
