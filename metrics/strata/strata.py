"""Strata of one version as numpy columns: sizes, and what the audit says in each."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

FEEDBACK = ("wrong", "none", "right")  # what feedback says of a prediction, the least good first
WRONG, SILENT, RIGHT = range(3)
SUMS = ("size", "n", "right", "weight", "weight_squared", "weight_right", "weight_squared_right", "other", "other_right")


@dataclass(frozen=True)
class Strata:
    """One row for each stratum; all arrays have its length.

    `predicted` is a code into `names`, `bin` 0…19 or NO_BIN (-1), `feedback` a place in FEEDBACK. `size` counts distinct
    predictions. `n`, `right` count audit labels of known probability p, the only sample; the four weights are sums of
    floor(2^16 / p), of its squares, and of both over the right ones. `other`, `other_right` count predictions whose label is a
    review's or an import's: they are no sample, and only order the strata.
    """

    names: list[str]
    predicted: np.ndarray
    bin: np.ndarray
    feedback: np.ndarray
    size: np.ndarray
    n: np.ndarray
    right: np.ndarray
    weight: np.ndarray
    weight_squared: np.ndarray
    weight_right: np.ndarray
    weight_squared_right: np.ndarray
    other: np.ndarray
    other_right: np.ndarray

    def __len__(self) -> int:
        return len(self.size)

    def where(self, mask: np.ndarray) -> Strata:
        """The rows that a mask or an order names."""
        return Strata(self.names, *(getattr(self, f.name)[mask] for f in fields(self)[1:]))

    def merge(self, groups: np.ndarray) -> Strata:
        """Adds up the rows of each group 0, 1, …; class, bin and feedback are those of the first row of each."""
        first = np.unique(groups, return_index=True)[1]
        keys = {name: getattr(self, name)[first] for name in ("predicted", "bin", "feedback")}
        return Strata(self.names, **keys, **{name: np.bincount(groups, getattr(self, name), len(first)) for name in SUMS})
