"""Probabilities of a dataset's classes for each picture, out of sample: [rows, classes], each row summing to 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from metrics.figure import ratio


@dataclass(eq=False)  # arrays do not compare as wholes
class Judged:
    """What one judge says of rows: their `places` in the dataset's index and `p`, float64 [places, classes]."""

    name: str
    places: np.ndarray
    p: np.ndarray
    unknown_training_set: bool = False

    def count_agreeing(self, given: np.ndarray, within: np.ndarray | None = None) -> int:
        """Counts the rows whose given class (`given`, of all rows) is the likeliest; `within`: of these places alone."""
        if not len(self.places):
            return 0
        agree = self.p.argmax(1) == given[self.places]
        return int((agree if within is None else agree & np.isin(self.places, within)).sum())

    def find_agreement(self, given: np.ndarray) -> float:
        """Finds the share of its rows whose given class is the likeliest, 0 to 1; 0 of no row."""
        return ratio(self.count_agreeing(given), len(self.places))

    def leave_out(self, places: np.ndarray) -> Judged:
        """Returns what it says of all other places."""
        kept = ~np.isin(self.places, places)
        return replace(self, places=self.places[kept], p=self.p[kept])


def spread(said: Mapping[str, float], classes: Sequence[str], known: Sequence[str]) -> np.ndarray | None:
    """The probabilities of `classes` from a list of the likeliest ones, float64 [classes]; None where nothing is left.

    What a list leaves over of 1 is split evenly among the classes that the version knows and the list does not name. Classes
    that are not in the dataset are dropped, and the rest is scaled to 1.
    """
    unnamed = [label for label in known if label not in said]
    rest = max(0.0, 1.0 - sum(said.values())) / max(len(unnamed), 1)
    mass = np.array([said.get(label, rest if label in unnamed else 0.0) for label in classes])
    total = mass.sum()
    return mass / total if total > 0 else None
