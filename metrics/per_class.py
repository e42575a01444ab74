"""Per-class figures and confusion of one version, from its cells."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from contract.counts import UNNAMED
from contract.documents.version_figures import ClassCalibration, Figure, OfClass, Pair, UnnamedWrong
from metrics.calibration import NO_CONFIDENCE
from metrics.cells import Cells
from metrics.figure import figures, missing, shares
from metrics.intervals import SMALLEST_SUPPORT, wilson

MOST_CONFUSION, MOST_CONFUSED = 10_000, 20


@dataclass(frozen=True)
class Confusion:
    """Labelled predictions by (label, predicted), as codes into `names`; count > 0, largest first.

    `≠` (wrong, class not named) is one of the names and no class: it has pairs, and no support.
    """

    names: list[str]
    label: np.ndarray
    predicted: np.ndarray
    count: np.ndarray

    @property
    def diagonal(self) -> np.ndarray:
        """Which pairs are right."""
        return self.label == self.predicted

    @property
    def unnamed(self) -> np.ndarray:
        """Which pairs have no class for a label."""
        return self.label == (self.names.index(UNNAMED) if UNNAMED in self.names else -1)

    def per_class(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns (right, support, predicted) of every name."""
        right = self._by_name(self.label, np.where(self.diagonal, self.count, 0))
        support = self._by_name(self.label, np.where(self.unnamed, 0, self.count))
        return right, support, self._by_name(self.predicted, self.count)

    def count_missable(self) -> np.ndarray:
        """Returns of every name how many predictions of other names were called wrong without a class: any of them may
        belong to it (rule 4a), and then it was missed."""
        of_name = self._by_name(self.predicted, np.where(self.unnamed, self.count, 0))
        return np.where(np.array(self.names) == UNNAMED, 0, of_name.sum() - of_name) if len(of_name) else of_name

    def _by_name(self, code: np.ndarray, count: np.ndarray) -> np.ndarray:
        return np.bincount(code, count, len(self.names)).astype(np.int64)


def confusion(cells: Cells) -> Confusion:
    """Counts of pairs, ordered by count (largest first), then label, then predicted by their bytes."""
    cells = cells.where(cells.labelled)
    pairs, where = np.unique(cells.label * len(cells.names) + cells.predicted, return_inverse=True)
    count = np.bincount(where, cells.n, len(pairs)).astype(np.int64)
    order = np.lexsort((pairs, -count))
    size = max(len(cells.names), 1)
    return Confusion(cells.names, pairs[order] // size, pairs[order] % size, count[order])


def confusion_rows(found: Confusion, only: np.ndarray | None = None, most: int = MOST_CONFUSION) -> list[Pair]:
    """The largest cells as rows; `only` is a mask of the pairs wanted."""
    pick = np.arange(len(found.count)) if only is None else np.flatnonzero(only)
    return [{"label": found.names[a], "predicted": found.names[b], "count": c} for a, b, c in
            zip(*(x[pick[:most]].tolist() for x in (found.label, found.predicted, found.count)), strict=True)]


def find_most_confused(found: Confusion) -> list[Pair]:
    """The most frequent mistakes: label, what was predicted instead, how often."""
    return confusion_rows(found, ~found.diagonal, MOST_CONFUSED)


def per_class(cells: Cells, split: Mapping[str, int], calibrated: Mapping[str, ClassCalibration], found: Confusion,
              classes: list[str] | None, confidence: float) -> list[OfClass]:
    """One row for every class: of the card, or without one every label and prediction; by the bytes of the label.

    `split`: predicted label -> its predictions whose labels differ; `calibrated`: predicted label -> its calibration.
    """
    names = cells.classes if classes is None else sorted(set(classes))
    right, support, predicted, predictions, missable = (spread(x, cells.names, names) for x in (
        *found.per_class(), class_predictions(cells), found.count_missable()))
    if classes is not None and missable.any():  # of a class that nobody named all may be
        missable = np.where([name in cells.names for name in names], missable, int(found.count[found.unnamed].sum()))
    recall = shares(right, support, confidence, "no label names this class", missable)
    precision = shares(right, predicted, confidence, "no labelled prediction names this class")
    coverage = shares(predicted, predictions, confidence, "no prediction names this class")
    f1 = f1_scores(right, support, predicted, confidence, missable)
    counts = (x.tolist() for x in (support, predicted, right, predictions))
    return [{"label": name, "support": s, "predicted": p, "right": r, "split": split.get(name, 0), "predictions": n,
             "coverage": of_coverage, "precision": of_precision, "recall": of_recall, "f1": of_f1,
             "calibration": calibrated.get(name, NO_CONFIDENCE)}
            for name, s, p, r, n, of_coverage, of_precision, of_recall, of_f1
            in zip(names, *counts, coverage, precision, recall, f1, strict=True)]


def count_unnamed(cells: Cells) -> UnnamedWrong:
    """Counts the predictions that were called wrong without a class (rule 4a), and those of each predicted label."""
    n = np.bincount(cells.predicted[cells.unnamed], cells.n[cells.unnamed], len(cells.names)).astype(np.int64)
    return {"count": int(n.sum()), "by_predicted": [{"predicted": cells.names[i], "count": int(n[i])} for i in np.flatnonzero(n)]}


def split_of(cells: Cells) -> dict[str, int]:
    """Predicted label -> its predictions whose labels differ, where there are any."""
    n = np.bincount(cells.predicted[cells.split], cells.n[cells.split], len(cells.names)).astype(np.int64)
    return {cells.names[i]: int(n[i]) for i in np.flatnonzero(n)}


def class_predictions(cells: Cells) -> np.ndarray:
    """Predictions of every name, labelled or not."""
    return np.bincount(cells.predicted, cells.n, len(cells.names)).astype(np.int64)


def spread(values: np.ndarray, names: list[str], wanted: list[str]) -> np.ndarray:
    """Values of `names` in the order of `wanted`, 0 where a name is not known."""
    place = {n: i for i, n in enumerate(names)}
    at = np.array([place.get(n, len(names)) for n in wanted], np.int64)
    return np.append(values, 0)[at]


def f1_scores(right: np.ndarray, support: np.ndarray, predicted: np.ndarray, confidence: float,
              missable: np.ndarray | int = 0) -> list[Figure]:
    """F1 of each class with its interval, which is null below a support of 30.

    F1 = 2J / (1 + J) with J = right / (right + missed + wrongly named), a plain share given its denominator. So the
    interval is Wilson's for J, mapped: what a bootstrap over cells tends to, at any number of classes. The lower bound
    counts `missable` further rows as missed.
    """
    union = support + predicted - right
    size = np.maximum(union, 1)
    (low, _), (_, high) = (wilson(right, n, confidence) for n in (size + missable, size))
    low, high = (2 * bound / (1 + bound) for bound in (low, high))
    value = np.where(union > 0, 2 * right / np.maximum(support + predicted, 1), np.nan)
    rows = figures(value, low, high, ["neither a label nor a labelled prediction names this class"] * len(right))
    small = f"support below {SMALLEST_SUPPORT}"
    return [row if row["value"] is None or s >= SMALLEST_SUPPORT else {**missing(small), "value": row["value"]}
            for row, s in zip(rows, support.tolist(), strict=True)]
