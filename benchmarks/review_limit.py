"""The least labels with which any plan could decide a fail by the combined estimate, had it known the truth.

A planner who knows how often every cell is right chooses which cells are one stratum, and how many labels each is asked.
Strata are neighbours when cells stand in the order of that share, since no other grouping leaves less within them (Fisher
1958); each has at least the labels that the product's strata have. What is made smallest is the variance by which the gate
fails, Agresti and Coull's with two more right and two more wrong rows in each stratum; the answers come out as their
expectation says but for the share itself, which lies as far above the truth as it does in one of five draws. An audit that
asks every answer alike gets its best strata, too.

The search for strata goes by one cut after another, each moved once more when the next is found, over 36 places. So it is
no proof that nothing lies below, but a bound on what knowledge of the truth gains: real plans know less and lie above it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm

from metrics.selection.combined import MORE
from metrics.significance.share_of_origin import p_of_share
from metrics.strata.collapse import LEAST

MOST_CUTS, HALVINGS, RANGE = 8, 12, (60.0, 1500.0)
PLACES = (25, 13)  # cuts between equal shares of the mistakes, and of the answers


@dataclass(frozen=True)
class Audit:
    """Strata and their labels: `cautious` the variance by which the gate fails, `drawn` the one of the draw."""

    cautious: float
    drawn: float
    cuts: tuple[int, ...]


class KnownDay:
    """Cells in the order of the share that is truly right; `n` answers of each, `right` of them right."""

    def __init__(self, n: np.ndarray, right: np.ndarray) -> None:
        order = np.argsort(right / n)
        self.n = np.concatenate([[0], np.cumsum(n[order])]).astype(float)
        self.right = np.concatenate([[0], np.cumsum(right[order])]).astype(float)
        self.accuracy = float(self.right[-1] / self.n[-1])
        wrong = self.n - self.right
        places = {int(at) for of, many in ((wrong, PLACES[0]), (self.n, PLACES[1]))
                  for at in np.searchsorted(of, np.linspace(0, of[-1], many)[1:-1])}
        self.places = sorted(place for place in places if 0 < place < len(n))

    def ask(self, labels: float, cuts: tuple[int, ...], planned: bool) -> Audit | None:
        """An audit of so many labels whose strata end at `cuts`; None where a stratum would have too few."""
        edges = [0, *sorted(cuts), len(self.n) - 1]
        size = np.diff(self.n[edges])
        part, share = size / size.sum(), np.diff(self.right[edges]) / size
        if planned and len(part) * LEAST > labels or not planned and labels * part.min() < LEAST:
            return None
        asked = _allocate(part, share, labels) if planned else labels * part
        return Audit(_cautious(part, share, asked), float((part**2 * share * (1 - share) / asked).sum()), cuts)

    def find_best(self, labels: float, planned: bool) -> Audit:
        """The audit of so many labels with the smallest cautious variance among the strata that are looked at."""
        best = self.ask(labels, (), planned)
        assert best is not None, "one stratum has all labels"
        while len(best.cuts) < MOST_CUTS:
            found = self._find_better(labels, planned, best, best.cuts)
            if found is None:
                return best
            for cut in found.cuts:
                found = self._find_better(labels, planned, found, tuple(c for c in found.cuts if c != cut)) or found
            best = found
        return best

    def _find_better(self, labels: float, planned: bool, than: Audit, kept: tuple[int, ...]) -> Audit | None:
        audits = [self.ask(labels, (*kept, place), planned) for place in self.places if place not in kept]
        best = min((a for a in audits if a is not None), key=lambda audit: audit.cautious, default=None)
        return best if best is not None and best.cautious < than.cautious else None

    def find_labels(self, bound: float, level: float, power: float, planned: bool) -> float:
        """How many labels fail `bound` at `level` with this power."""
        low, high = RANGE
        for _ in range(HALVINGS):
            labels = float(np.sqrt(low * high))
            audit = self.find_best(labels, planned)
            value = np.array(self.accuracy + norm.ppf(power) * np.sqrt(audit.drawn))
            fails = p_of_share(value, value * (1 - value) / audit.cautious, bound) <= level
            low, high = (low, labels) if fails else (labels, high)
        return high


def _cautious(part: np.ndarray, share: np.ndarray, asked: np.ndarray) -> float:
    doubted = (asked * share + MORE) / (asked + 2 * MORE)
    return float((part**2 * doubted * (1 - doubted) / asked).sum())


def _allocate(part: np.ndarray, share: np.ndarray, labels: float) -> np.ndarray:
    """The labels of each stratum, at least LEAST, that make the cautious variance smallest."""

    def spread(x: np.ndarray) -> np.ndarray:
        grown = np.exp(x - x.max())
        return LEAST + (labels - LEAST * len(part)) * grown / grown.sum()

    start = np.log(part * np.sqrt(share * (1 - share) + 1 / labels))
    found = minimize(lambda x: _cautious(part, share, spread(x)), start, method="L-BFGS-B")
    return spread(found.x)
