"""Where labels decide: how much a label of each cell narrows the interval of the figure that is in doubt.

Of a stratified estimate Neyman's allocation (1934; Cochran 1977, 5.5) asks a cell in proportion to N s, so each of its
rows with a probability in proportion to s = sqrt(r (1 - r)), the standard deviation within the cell. Hajek's share does
not know how many rows of a cell there are, and its linearised variance sums w^2 (y - R)^2 (Särndal, Swensson and Wretman
1992, 5.7): there it is the root of r (1 - r) + (r - R)^2, so that the spread between the cells stays in it. In both the
variance of what is asked with probabilities p is sum(N v / p), and p in proportion to sqrt(v) makes it smallest for an
expected number of labels.

The combined estimate does not believe that a stratum is as pure as its labels look, and counts more mistakes than it sees
(metrics.selection.combined). Neyman's allocation by the bare rates gives sure cells so few labels that this doubt outweighs
what it gains: simulated, its intervals were up to 25% wider in variance than a random audit's. So r is taken as a stratum of
40 labels shows it that has one more right and one more wrong row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from contract.samples import FLOOR_SHARE, Cell
from metrics.planning.rates import Rates
from metrics.strata.collapse import LEAST

Estimate = Literal["hajek", "combined"]
KINDS = ("overall", "class", "precision", "recall", "slice")
LEAST_APPEAL = 1e-6  # of the largest: a cell that tells nothing has its floor, and takes what is left when all others are full
STEPS = 40
GROUP, MORE = 2 * LEAST, 1  # labels of a stratum of the combined estimate, and mistakes it may have beside those that are seen
LEAST_KISH = 120  # expected: the accuracy gate tells nothing below 100, and how many are asked varies


@dataclass(frozen=True)
class Towards:
    """The figure in doubt: `kind` among KINDS, `name` a class or NAME=VALUE of a slice; class: precision and recall."""

    kind: str = "overall"
    name: str | None = None

    @property
    def text(self) -> str:
        """As the option --towards takes it."""
        return self.kind if self.name is None else f"{self.kind}:{self.name}"


def estimate_moments(towards: Towards, rates: Rates, estimate: Estimate,
                     in_slice: Mapping[str, float] | None = None) -> np.ndarray:
    """Returns v of each cell: a row of it, asked with probability p, adds v / p to the figure's variance (any scale).

    Recall and slices have no stratified estimate, so theirs is Hajek's whatever `estimate` says. `in_slice`: the share of
    the slice in each predicted label. All 0 where the figure rests on no cell.
    """
    right, of_class = rates.right, np.array([cell.predicted == towards.name for cell in rates.cells])
    if towards.kind == "overall":
        return _within(right, estimate, rates.accuracy)
    if towards.kind == "slice":
        share = np.array([(in_slice or {}).get(cell.predicted, 0.0) for cell in rates.cells])
        of_slice = _mean(right, rates.n * share)
        return share * _within(right, "hajek", of_slice)
    precision = np.where(of_class, _within(right, estimate, _mean(right, rates.n * of_class)), 0.0)
    if towards.kind == "precision":
        return precision
    recall, size = _moments_of_recall(towards.name or "", rates, of_class)
    if towards.kind == "recall":
        return recall
    predicted = float(rates.n[of_class].sum())
    return precision / max(predicted, 1.0) ** 2 + recall / max(size, 1.0) ** 2


def _within(right: np.ndarray, estimate: Estimate, whole: float) -> np.ndarray:
    if estimate == "hajek":
        return right * (1 - right) + (right - whole) ** 2
    share = (GROUP * right + MORE) / (GROUP + 2 * MORE)
    return share * (1 - share)


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float((values * weights).sum() / weights.sum()) if weights.sum() > 0 else 0.0


def _moments_of_recall(label: str, rates: Rates, of_class: np.ndarray) -> tuple[np.ndarray, float]:
    """The moments of label's (right - recall), and how many rows of that label are expected."""
    truly = rates.expect_label(label)
    size = float((rates.n * truly).sum())
    recall = float((rates.n * truly)[of_class].sum()) / max(size, 1e-12)
    return truly * np.where(of_class, 1 - recall, recall) ** 2, size


def find_appeal(rates: Rates, moments: np.ndarray) -> dict[Cell, float]:
    """Returns what probabilities are to be in proportion to: sqrt(v), and nowhere 0."""
    root = np.sqrt(moments)
    most = float(root.max(initial=0.0)) or 1.0
    return dict(zip(rates.cells, np.maximum(root, LEAST_APPEAL * most).tolist(), strict=True))


def compare_variance(rates: Rates, moments: np.ndarray, table: Mapping[Cell, float]) -> float | None:
    """Returns the figure's variance under `table` over that of as many labels asked alike; None where it rests on no cell.

    So many labels of a random audit does one of the planned labels stand for: its inverse.
    """
    p = np.array([table[cell] for cell in rates.cells])
    alike = float((rates.n * p).sum() / rates.n.sum())
    least = float((rates.n * moments).sum()) / alike
    return float((rates.n * moments / p).sum()) / least if least > 0 else None


def expect_kish(rates: Rates, table: Mapping[Cell, float]) -> float:
    """Returns Kish's effective size (sum w)^2 / sum w^2 that the asked rows are expected to have, w = 1/p."""
    p = np.array([table[cell] for cell in rates.cells])
    return _kish(rates.n, p)


def _kish(n: np.ndarray, p: np.ndarray) -> float:
    return float(n.sum() ** 2 / (n / p).sum())


def choose_floor(rates: Rates, appeal: Mapping[Cell, float], items: float, least_kish: float) -> float:
    """Returns the least probability of any cell: a fifth of the mean, more where Kish's size would be below `least_kish`.

    Below that size the gate tells nothing (metrics.significance.share_of_origin). All alike where no floor helps.
    """
    mean = min(1.0, items / float(rates.n.sum()))
    wanted = np.array([appeal[cell] for cell in rates.cells])

    def reaches(share: float) -> bool:
        p = _spread(rates.n, wanted, mean * float(rates.n.sum()), share * mean)
        return _kish(rates.n, p) >= least_kish

    if reaches(FLOOR_SHARE):
        return FLOOR_SHARE * mean
    low, high = FLOOR_SHARE, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high * mean


def _spread(n: np.ndarray, appeal: np.ndarray, items: float, floor: float) -> np.ndarray:
    """What contract.samples.spread does, for thousands of cells many times over; what is drawn is spread by that one."""
    low, high = 0.0, 1 / float(appeal.min())
    for _ in range(2 * STEPS):
        middle = (low + high) / 2
        enough = float((n * np.clip(middle * appeal, floor, 1)).sum()) >= items
        low, high = (low, middle) if enough else (middle, high)
    return np.clip(high * appeal, floor, 1)


def measure_distance(value: float, bound: float, high: float, low: float) -> float:
    """Returns how far a figure is from its bound, in widths of its interval (high > low)."""
    return abs(value - bound) / (high - low)
