"""Figures corrected for selection: what rows drawn with known probabilities say of all the predictions they stand for.

A row drawn with probability p stands for 1/p rows, so precision, recall, F1, confusion and calibration have a weighted
form beside the plain one. Each ratio is Hajek's share on a domain (the rows of a class): of those predicted so, of those
labelled so, of those that are either. Its interval is Wilson's on the smaller of two effective sizes: what the linearised
variance stands for (Särndal, Swensson and Wretman 1992, 5.7), and Kish's, because where a few heavy rows are expected
the first is far too large (docs/log.md). Weights of different origins are never added.
"""

from collections.abc import Iterator

import numpy as np

from contract.confidence import NO_BIN
from contract.counts import BINS, CONFIDENCE_SCALE, ORIGINS, Origin
from contract.documents.version_figures import Corrected, CorrectedCalibration, CorrectedClass, CorrectedPair, Weighted
from metrics.cells import Cells
from metrics.figure import missing
from metrics.intervals import SEED, SMALLEST_SUPPORT, wilson
from metrics.per_class import MOST_CONFUSION

REPLICATES = 400
Sums = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # weight, its squares; both of the rows that are right


def correct_for_selection(pairs: Cells | None, bins: Cells | None, classes: list[str],
                          level: float) -> dict[Origin, Corrected]:
    """Returns the corrected figures of each origin that has rows whose selection probability is known.

    `pairs` are cells by (origin, predicted, label), `bins` by (origin, bin, right or wrong), both of such rows alone.
    """
    if pairs is None or bins is None:
        return {}
    found: dict[Origin, Corrected] = {}
    for origin, of_pairs, of_bins in _by_origin(pairs, bins):
        found[origin] = {
            "labelled": int(of_pairs.n_weighted.sum()),
            "n_effective": float(_kish(of_pairs.sum_weight.sum(), of_pairs.sum_weight_squared.sum())),
            "per_class": correct_classes(of_pairs, classes, level), "confusion": correct_confusion(of_pairs),
            "calibration": correct_calibration(of_bins)}
    return found


def _by_origin(pairs: Cells, bins: Cells) -> Iterator[tuple[Origin, Cells, Cells]]:
    for place, origin in enumerate(ORIGINS):
        mine = (pairs.origin == place) & (pairs.sum_weight > 0)
        if mine.any():
            yield origin, pairs.where(mine), bins.where((bins.origin == place) & (bins.sum_weight > 0))


def correct_classes(cells: Cells, classes: list[str], level: float) -> list[CorrectedClass]:
    """Returns the corrected precision, recall and F1 of each class; `≠` is in no recall, and missed in its lower bound."""
    names = sorted({*classes, *cells.classes})
    place = {name: i for i, name in enumerate(names)}
    code = np.array([place.get(name, -1) for name in cells.names])
    label, predicted = code[cells.label], code[cells.predicted]
    of_label, of_predicted = (_sum_by(cells, at, len(names)) for at in (label, predicted))
    right = of_label[2:]
    either = (*(a + b - both for a, b, both in zip(of_label, of_predicted, right, strict=False)), *right)
    missable = _sum_missable(cells, predicted, len(names))
    figures = (estimate_shares(of_predicted, level), estimate_shares(of_label, level, missable),
               [_map_to_f1(row) for row in estimate_shares(either, level, missable)])
    sizes = [_kish(of[0], of[1]).tolist() for of in (of_label, of_predicted)]
    return [{"label": name, "support": s, "predicted": p, "precision": a, "recall": b, "f1": c}
            for name, s, p, a, b, c in zip(names, *sizes, *figures, strict=True)]


def _sum_by(cells: Cells, code: np.ndarray, size: int) -> Sums:
    """Sums by class; cells with code -1 are in none."""
    some = code >= 0

    def add_up(values: np.ndarray, which: np.ndarray) -> np.ndarray:
        return np.bincount(code[which], values[which], size)

    right = some & cells.right
    return (add_up(cells.sum_weight, some), add_up(cells.sum_weight_squared, some),
            add_up(cells.sum_weight, right), add_up(cells.sum_weight_squared, right))


def _sum_missable(cells: Cells, predicted: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The weight, and its squares, of the rows called wrong without a class that each class may have missed (rule 4a)."""
    wrong = cells.unnamed
    found = []
    for values in (cells.sum_weight, cells.sum_weight_squared):
        of_class = np.bincount(predicted[wrong], values[wrong], size)
        found.append(of_class.sum() - of_class)
    return found[0], found[1]


def estimate_shares(sums: Sums, level: float, missable: tuple[np.ndarray, np.ndarray] | None = None) -> list[Weighted]:
    """Returns Hajek's share of each domain with Wilson's interval on the smaller of the two effective sizes.

    `missable`: (weight, squares) of rows that the lower bound counts as not right.
    """
    weight, squared, right, right_squared = sums
    value, size = _share_and_size(weight, squared, right, right_squared)
    low, high = wilson(value * size, size, level)
    if missable is not None and missable[0].any():
        least, smaller = _share_and_size(weight + missable[0], squared + missable[1], right, right_squared)
        low = np.minimum(low, wilson(least * smaller, smaller, level)[0])
    return [{"value": v, "low": a, "high": b, "n_effective": n} if w else
            {**missing("no row of this class has a known selection probability"), "n_effective": None}
            for v, a, b, n, w in zip(*(x.tolist() for x in (value, low, high, size, weight > 0)), strict=True)]


def _share_and_size(weight: np.ndarray, squared: np.ndarray, right: np.ndarray,
                    right_squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (the weighted share, the smaller of its linearised and Kish's size; 1 where there is no row)."""
    value = right / np.where(weight > 0, weight, 1)
    variance = ((1 - value) ** 2 * right_squared + value**2 * (squared - right_squared)) / np.where(weight > 0, weight, 1) ** 2
    kish = np.where(squared > 0, _kish(weight, squared), 1)
    return value, np.where(variance > 0, np.minimum(kish, value * (1 - value) / np.where(variance > 0, variance, 1)), kish)


def _kish(weight: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """Kish's effective size (sum w)^2 / sum w^2; 0 without rows."""
    return np.where(squared > 0, weight**2 / np.where(squared > 0, squared, 1), 0.0)


def _map_to_f1(row: Weighted) -> Weighted:
    """F1 = 2J / (1 + J) of the share J of rows that are right among those of the class by label or prediction."""
    def to_f1(share: float | None) -> float | None:
        return None if share is None else 2 * share / (1 + share)

    return {**row, "value": to_f1(row["value"]), "low": to_f1(row["low"]), "high": to_f1(row["high"])}


def correct_confusion(cells: Cells) -> list[CorrectedPair]:
    """Returns the share that each (label, predicted) has of the predictions stood for, largest first; at most 10,000."""
    share = cells.sum_weight / cells.sum_weight.sum()
    order = np.lexsort((cells.predicted, cells.label, -share))[:MOST_CONFUSION]
    return [{"label": cells.names[a], "predicted": cells.names[b], "share": s} for a, b, s in
            zip(*(x[order].tolist() for x in (cells.label, cells.predicted, share)), strict=True)]


def correct_calibration(cells: Cells) -> CorrectedCalibration:
    """Returns the expected calibration error of the predictions stood for, beside its 95% value if calibrated."""
    known = cells.where(cells.bin != NO_BIN)
    weight, squared, right, said = (np.bincount(known.bin, values, BINS) for values in (
        known.sum_weight, known.sum_weight_squared, np.where(known.right, known.sum_weight, 0),
        known.sum_weight_confidence / CONFIDENCE_SCALE))
    some = weight > 0
    if not some.any():
        return {"ece": None, "ece_95_if_calibrated": None, "reason": "no labelled row has a confidence", "n_effective": 0.0}
    weight, squared, right, said = (x[some] for x in (weight, squared, right, said))
    size, share = np.maximum(_kish(weight, squared), 1), weight / weight.sum()
    error = float((share * np.abs(right - said) / weight).sum())
    total = float(_kish(weight.sum(), squared.sum()))
    if total < SMALLEST_SUPPORT:
        return {"ece": error, "ece_95_if_calibrated": None, "reason": f"fewer than {SMALLEST_SUPPORT} rows", "n_effective": total}
    return {"ece": error, "ece_95_if_calibrated": _simulate_error(size, said / weight, share), "n_effective": total}


def _simulate_error(size: np.ndarray, p: np.ndarray, share: np.ndarray) -> float:
    """The 95% value of the error when each bin is right as often as it says: normal noise at its effective size."""
    noise = np.random.default_rng(SEED).standard_normal((REPLICATES, len(size)))
    p = np.clip(p, 0, 1)
    return float(np.quantile((np.abs(noise) * np.sqrt(p * (1 - p) / size) * share).sum(1), 0.95))
