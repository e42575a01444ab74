"""Expected cost of a prediction with its interval, from cells: the mean of a bounded cost that is mostly 0.

Each cost belongs to a band of costs within a factor of 4. Of one band let m be the mean cost of a prediction, over costs c of
weight w: m = sum(w c) / sum(w), and k = sum(w c^2) / sum(w c) what a mistake of the band costs, larger ones counted more. Were
there more or fewer mistakes of the same kinds, the variance of a cost would be k m - m^2, which is that of a share m / k times
k^2. So the interval of m is k times Wilson's of m / k, on the number of rows, or where rows are weighted on the size that the
linearised variance sum(w^2 (c - m)^2) / sum(w)^2 stands for (as metrics/selection/estimate.py; of one class, at most Kish's, as
corrected.py). A band without a mistake has m = 0 and its greatest cost for k: what was never seen may still come, as often as
Wilson says. The sum of the bands has the distances to their limits added as independent ones (MOVER: Zou and Donner 2008), with
the correlation that shares of one total have. With one cost for all mistakes that is Wilson's interval of the error rate, times
the cost.
"""

import math
from collections.abc import Sequence

import numpy as np

from contract.documents.version_figures import Figure
from metrics.cells import Cells
from metrics.costs.table import CellCosts
from metrics.figure import missing
from metrics.intervals import wilson

RATIO, BANDS, FREE = 4.0, 6, -1
PER = 1000


def expect_cost(cells: Cells, costs: CellCosts, levels: Sequence[float], confidence: float, *, weighted: bool,
                reason: str, of_class: bool = False) -> Figure:
    """The cost per 1,000 predictions that labelled cells of one origin stand for; missing with `reason` without any.

    `levels`: the different costs above 0 that are possible, ascending. `weighted`: rows stand for 1 / their probability.
    `of_class`: they are of one class alone, of which a sample may hold a few heavy rows.
    """
    weight = cells.sum_weight if weighted else cells.n.astype(float)
    squared = cells.sum_weight_squared if weighted else weight
    if not weight.sum() > 0:
        return missing(reason)
    value, low, high = (_bound(weight, squared, of, levels, confidence, of_class)
                        for of in (costs.value, costs.least, costs.most))
    return {"value": PER * value[0], "low": PER * min(low[1], value[1]), "high": PER * max(high[2], value[2])}


def _bound(weight: np.ndarray, squared: np.ndarray, cost: np.ndarray, levels: Sequence[float],
           confidence: float, of_class: bool) -> tuple[float, float, float]:
    """(mean, low, high) of the cost of one prediction."""
    greatest = max([*levels, float(cost.max())])
    if greatest <= 0:
        return 0.0, 0.0, 0.0
    of_level, of_cell = (find_bands(np.asarray(x, float), greatest) for x in (levels, cost))
    bands = [int(band) for band in np.union1d(of_level, of_cell) if band != FREE]
    total, kish = weight.sum(), weight.sum() ** 2 / squared.sum()
    means, lows, highs, shares = (np.zeros(len(bands)) for _ in range(4))
    for i, band in enumerate(bands):
        of_band = np.where(of_cell == band, cost, 0.0)
        means[i] = mean = float((weight * of_band).sum() / total)
        each = float((weight * of_band**2).sum() / total / mean) if mean else max(
            level for level, place in zip(levels, of_level, strict=True) if place == band)
        spread = float((squared * (of_band - mean) ** 2).sum() / total**2)
        size = (each * mean - mean**2) / spread if mean and spread and each > mean else kish
        size = min(size, kish) if of_class else size
        shares[i] = share = min(mean / each, 1.0)
        low, high = wilson(share * size, size, confidence)
        lows[i], highs[i] = each * float(low), each * float(high)
    together = _correlate(shares)
    down, up = means - lows, highs - means
    value = float(means.sum())
    return value, value - math.sqrt(max(down @ together @ down, 0)), value + math.sqrt(max(up @ together @ up, 0))


def find_bands(cost: np.ndarray, greatest: float) -> np.ndarray:
    """0 for costs within a factor of 4 of the greatest, 1 for the next one, …; the last takes the rest. FREE for no cost."""
    depth = np.log(greatest / np.where(cost > 0, cost, greatest)) / math.log(RATIO) + 1e-9
    return np.where(cost > 0, np.minimum(depth.astype(np.int64), BANDS - 1), FREE)


def _correlate(share: np.ndarray) -> np.ndarray:
    """The correlation of shares of one total: -sqrt(p q / ((1 - p) (1 - q)))."""
    odds = np.sqrt(share / np.maximum(1 - share, 1e-12))
    found = -np.minimum(np.outer(odds, odds), 1.0)
    np.fill_diagonal(found, 1.0)
    return found
