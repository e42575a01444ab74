"""From which confidence on accepting an answer unseen is cheaper than looking at it, for each predicted class.

Looking at a prediction costs `review` and mends its mistake. Of the twenty bins of confidence those from a threshold on are
accepted, the rest is looked at: the threshold with the least total cost over the labelled predictions is taken, of several the
highest. Rows without a bin are looked at.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from contract.confidence import EDGES, NO_BIN
from contract.counts import BINS
from metrics.cells import Cells
from metrics.costs.table import CellCosts

ENOUGH = 20  # labelled predictions of a class
ROUNDED = 1e-9  # of the largest sum: sums this near are equal but for rounding


class Chosen(NamedTuple):
    """Sums over the (weighted) predictions of one class. `threshold` None: none is accepted; `from_bin` is then 20."""

    threshold: float | None
    from_bin: int
    weight: float
    accepted: float
    cost: float
    cost_of_all: float  # accepted whatever the confidence
    cost_of_review: float  # all looked at


def choose_threshold(cells: Cells, costs: CellCosts, review: float, *, weighted: bool) -> Chosen:
    """The cheapest threshold for labelled cells of one predicted class."""
    weight = cells.sum_weight if weighted else cells.n.astype(float)
    binned = cells.bin != NO_BIN
    of_bin = np.bincount(cells.bin[binned], weight[binned], BINS)
    cost = np.bincount(cells.bin[binned], (weight * costs.value)[binned], BINS)
    all_weight = float(weight.sum())
    accepted = np.append(of_bin[::-1].cumsum()[::-1], 0.0)
    totals = np.append(cost[::-1].cumsum()[::-1], 0.0) + review * (all_weight - accepted)
    at = int(np.flatnonzero(totals <= totals.min() + ROUNDED * totals.max())[-1])
    return Chosen(float(EDGES[at]) if at < BINS else None, at, all_weight, float(accepted[at]), float(totals[at]),
                  float((weight * costs.value).sum()), review * all_weight)


def look_at_all(found: Chosen) -> Chosen:
    """The same class without a threshold."""
    return found._replace(threshold=None, from_bin=BINS, accepted=0.0, cost=found.cost_of_review)


def add_up(chosen: Sequence[Chosen]) -> Chosen:
    """The sums over classes."""
    return Chosen(None, BINS, *(sum(getattr(c, name) for c in chosen) for name in Chosen._fields[2:]))
