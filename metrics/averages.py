"""Averages over the classes of one version: balanced accuracy; macro and weighted precision, recall and F1.

They follow scikit-learn: over the classes that occur (as label or as labelled prediction), a precision or recall
without a denominator counting 0 here, while the class itself says null with a reason.

Intervals are Wilson's, on the smaller of two sizes: the linearised one v (1 - v) / V, V being the average's variance by
the delta method (a cell's count has its own size as variance), and Kish's size of the weights that the average gives to
rows, which is what is left where V says nothing: at 100%, and where a rare class happened to be right. A bootstrap gives
zero width there, and covered 23 to 74% at a truth of 0.999 (docs/log.md#figures). Rows that were called wrong without a
class (rule 4a) are in no average; lower bounds lose what they would cost if every class that they may be of had missed them.
"""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from contract.documents.version_figures import Averages, Figure
from metrics.figure import missing
from metrics.intervals import SMALLEST_SUPPORT, wilson
from metrics.per_class import Confusion

SCORES = ("precision", "recall", "f1")
NAMES = ("balanced_accuracy", *(f"macro_{s}" for s in SCORES), *(f"weighted_{s}" for s in SCORES))
Arrays = tuple[np.ndarray, ...]


class AllAverages(TypedDict):
    """The averages of one version, by the names that they have in its document."""

    balanced_accuracy: Figure
    macro: Averages
    weighted: Averages


def averages(found: Confusion, confidence: float) -> AllAverages:
    """`balanced_accuracy`, `macro` and `weighted`; intervals are null below 30 labels."""
    total = int(found.count.sum())
    if not total:
        empty = missing("no labels")
        none: Averages = {"precision": empty, "recall": empty, "f1": empty}
        return {"balanced_accuracy": empty, "macro": {**none, "classes": 0}, "weighted": none}
    values = statistics(*found.per_class())
    missed = np.maximum(values - statistics(*_count_missed(found)), 0)
    bounds = _bounds(found, values, confidence) if total >= SMALLEST_SUPPORT else None
    if bounds is not None:
        bounds = (np.maximum(bounds[0] - missed, 0), bounds[1])
    figure = {name: _figure(i, values, bounds) for i, name in enumerate(NAMES)}
    _, support, predicted = found.per_class()
    classes = int(((support + predicted) > 0).sum())
    return {"balanced_accuracy": figure["balanced_accuracy"],
            "macro": {**_of_kind("macro", figure), "classes": classes}, "weighted": _of_kind("weighted", figure)}


def _count_missed(found: Confusion) -> Arrays:
    """The counts as if each row that was called wrong without a class had been missed by every class that it may be of."""
    right, support, predicted = found.per_class()
    return right, np.where(support > 0, support + found.count_missable(), support), predicted


def _of_kind(kind: str, figure: Mapping[str, Figure]) -> Averages:
    return {"precision": figure[f"{kind}_precision"], "recall": figure[f"{kind}_recall"], "f1": figure[f"{kind}_f1"]}


def statistics(right: np.ndarray, support: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """All of NAMES along the last axis, from counts of shape (…, classes)."""
    scores = (right / np.maximum(predicted, 1), right / np.maximum(support, 1),
              2 * right / np.maximum(support + predicted, 1))
    classes, total = np.maximum(((support + predicted) > 0).sum(-1), 1), np.maximum(support.sum(-1), 1)
    balanced = scores[1].sum(-1) / np.maximum((support > 0).sum(-1), 1)
    return np.stack([balanced, *(s.sum(-1) / classes for s in scores),
                     *((s * support).sum(-1) / total for s in scores)], -1)


def _figure(i: int, values: np.ndarray, bounds: Arrays | None) -> Figure:
    value = float(values[i])
    if bounds is None:
        return {**missing(f"support below {SMALLEST_SUPPORT}"), "value": value}
    return {"value": value, "low": min(float(bounds[0][i]), value), "high": max(float(bounds[1][i]), value)}


def _bounds(found: Confusion, values: np.ndarray, confidence: float) -> Arrays:
    variance, kish = linear_variance(found), kish_sizes(*found.per_class()[1:])
    linear = np.where(variance > 0, values * (1 - values) / np.where(variance > 0, variance, 1), np.inf)
    size = np.where(linear > 0, np.minimum(linear, kish), kish)
    return wilson(values * size, size, confidence)


def kish_sizes(support: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Kish's size of the weights that each of NAMES gives to rows: a class shares its own among its denominator's rows."""
    occurs, total = (support + predicted) > 0, support.sum()
    rows = {"precision": predicted, "recall": support, "f1": (support + predicted) / 2}
    of_class = [(np.where(support > 0, 1.0, 0.0), support), *((np.where(occurs, 1.0, 0.0), rows[s]) for s in SCORES),
                *((support / total, rows[s]) for s in SCORES)]
    return np.array([_kish(weight, n) for weight, n in of_class])


def _kish(weight: np.ndarray, rows: np.ndarray) -> float:
    there = (rows > 0) & (weight > 0)
    if not there.any():  # every class with a weight has no row to be right on: the average is 0, of all rows
        return float(rows.sum())
    return float(weight[there].sum() ** 2 / (weight[there] ** 2 / rows[there]).sum())


def linear_variance(found: Confusion) -> np.ndarray:
    """Variance of each of NAMES when every cell's count varies with its own size as variance, to first order."""
    by_right, by_support, by_predicted = _gradients(*found.per_class())
    by_label = np.where(found.unnamed, 0, by_support[:, found.label])
    slope = by_label + by_predicted[:, found.predicted] + by_right[:, found.label] * found.diagonal
    return (slope**2 * found.count).sum(-1)


def _gradients(right: np.ndarray, support: np.ndarray, predicted: np.ndarray) -> Arrays:
    """Derivatives of `statistics` by each class's right, support and predicted, each of shape (7, classes)."""
    s, p, total = np.maximum(support, 1), np.maximum(predicted, 1), support.sum()
    both, none = np.maximum(support + predicted, 1), np.zeros(len(right))
    classes, labels = ((support + predicted) > 0).sum(), (support > 0).sum()
    recall = (1 / s, -right / s**2, none)
    precision = (1 / p, none, -right / p**2)
    f1 = (2 / both, -2 * right / both**2, -2 * right / both**2)
    scores = ((right / p, precision), (right / s, recall), (2 * right / both, f1))
    weighted = [(d[0] * support / total, (d[1] * support + score - (score * support).sum() / total) / total,
                 d[2] * support / total) for score, d in scores]
    rows = [[x / labels for x in recall], *([x / classes for x in d] for _, d in scores), *weighted]
    return tuple(np.stack([row[i] for row in rows]) for i in range(3))
