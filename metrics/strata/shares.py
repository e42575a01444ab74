"""How often the model is right in each stratum, for whoever plans where labels are needed."""

from __future__ import annotations

import numpy as np

from contract.confidence import NO_BIN
from contract.samples import Cell
from metrics.strata.collapse import group_strata
from metrics.strata.strata import Strata

MORE = 2  # right ones and wrong ones that are added (Agresti and Coull 1998)


def estimate_shares(strata: Strata, groups: np.ndarray | None = None) -> np.ndarray:
    """Returns p_h of each row in (0, 1): the weighted share right of its group's audit labels, with two more of either kind.

    0.5 where there is no audit label at all. `groups`: as `group_strata` has them, which is asked when they are not given.
    """
    groups = group_strata(strata) if groups is None else groups
    merged = strata.merge(groups)
    some = merged.weight > 0
    share = np.where(some, merged.weight_right / np.where(some, merged.weight, 1), 0.5)
    return ((share * merged.n + MORE) / (merged.n + 2 * MORE))[groups]


def by_cell(strata: Strata, values: np.ndarray) -> dict[Cell, float]:
    """A value of each (predicted class, confidence bin): the mean over what feedback says, by predictions."""
    sums: dict[Cell, list[float]] = {}
    for name, place, size, value in zip(strata.predicted.tolist(), strata.bin.tolist(), strata.size.tolist(), values.tolist(),
                                        strict=True):
        found = sums.setdefault(Cell(strata.names[name], None if place == NO_BIN else place), [0.0, 0.0])
        found[0] += size * value
        found[1] += size
    return {cell: total / size for cell, (total, size) in sums.items()}
