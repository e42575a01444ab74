"""What confidence is worth: buckets, thresholds, calibration error and the reliability curve of one version.

Everything rests on labelled predictions that have a confidence bin (docs/design.md#rule-5-confidence-bins).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from contract.confidence import EDGES, NO_BIN
from contract.counts import BINS, CONFIDENCE_SCALE
from contract.documents.version_figures import Bucket, Calibration, ClassCalibration, Reliability
from contract.errors import UsageError
from metrics.cells import Cells
from metrics.figure import share
from metrics.intervals import SEED, SMALLEST_SUPPORT

ACCEPTED_RATIO = 0.1
REPLICATES = 400
MARGIN_REPLICATES = 1000
NO_CONFIDENCE: ClassCalibration = {"ece": None, "ece_95_if_calibrated": None, "reason": "no labelled row has a confidence"}


def edges_of(given: Sequence[float] | None) -> list[float]:
    """Bucket edges from 0 to 1: all 21, or coarser ones, each a multiple of 0.05 (0 and 1 are added when missing)."""
    if not given:
        return list(EDGES)
    places = [round(edge * BINS) for edge in given]
    wrong = [e for e, k in zip(given, places, strict=True) if not (0 <= k <= BINS and abs(e * BINS - k) < 1e-6)]
    if wrong or places != sorted(set(places)):
        raise UsageError(f"bucket edges {list(given)}: expected rising multiples of {1 / BINS} between 0 and 1, "
                         f"got {wrong or 'another order'}. Counts know no finer ones.")
    return [EDGES[k] for k in sorted({0, BINS, *places})]


def select_known(cells: Cells) -> Cells:
    """The labelled cells with a bin."""
    return cells.where(cells.labelled & (cells.bin != NO_BIN))


def bucket_counts(cells: Cells, edges: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """(count, wrong) of shape (names, buckets), over labelled rows with a bin."""
    cells, size = select_known(cells), (len(cells.names), len(edges) - 1)
    place = np.searchsorted([round(e * BINS) for e in edges], cells.bin, side="right") - 1
    at = cells.predicted * size[1] + place
    count = np.bincount(at, cells.n, size[0] * size[1]).reshape(size)
    wrong = np.bincount(at, np.where(cells.right, 0, cells.n), size[0] * size[1]).reshape(size)
    return count.astype(np.int64), wrong.astype(np.int64)


def bucket_rows(names: list[str], count: np.ndarray, wrong: np.ndarray, edges: Sequence[float]) -> list[Bucket]:
    """One row for every predicted class and bucket that has rows."""
    who, place = np.nonzero(count)
    return [{"predicted": names[i], "low": edges[b], "high": edges[b + 1], "count": c, "wrong": w}
            for i, b, c, w in zip(who.tolist(), place.tolist(), count[who, place].tolist(),
                                  wrong[who, place].tolist(), strict=True)]


def thresholds(count: np.ndarray, wrong: np.ndarray, edges: Sequence[float],
               ratio: float) -> tuple[list[float | None], list[float | None], list[int]]:
    """(threshold, supported_from, support) of every class, by the rule of docs/design.md#evaluationjson.

    Walks down from the highest bucket while wrong / right <= ratio (none right fails), over empty buckets.
    """
    right = count - wrong
    fails = (count > 0) & ((right == 0) | (wrong / np.maximum(right, 1) > ratio))
    buckets = count.shape[1]
    place = np.arange(buckets)
    stop = np.where(fails, place, -1).max(1, initial=-1)  # the first failing bucket from above
    accepted = (count > 0) & (place > stop[:, None])
    support = np.where(accepted, count, 0).sum(1)
    lowest = np.where(count > 0, place, buckets).min(1, initial=buckets)
    lowest_accepted = np.where(accepted, place, buckets).min(1, initial=buckets)
    threshold = np.maximum(stop + 1, lowest)
    some = support > 0
    edge = [*edges]
    return ([edge[t] if ok else None for t, ok in zip(threshold.tolist(), some.tolist(), strict=True)],
            [edge[t] if ok else None for t, ok in zip(lowest_accepted.tolist(), some.tolist(), strict=True)],
            support.tolist())


def calibration(cells: Cells, confidence: float) -> Calibration:
    """Expected calibration error over the 20 bins, its 95% value for a calibrated model, and the reliability curve."""
    cells = select_known(cells)
    count, right, said = _bins(cells, np.zeros(len(cells.n), np.int64), 1)
    total = int(count.sum())
    if not total:
        return {**NO_CONFIDENCE, "low": None, "high": None, "count": 0, "reliability": []}
    curve: list[Reliability] = [
        {"low": EDGES[b], "high": EDGES[b + 1], "count": int(count[0, b]), "confidence": float(said[0, b] / count[0, b]),
         "accuracy": share(right[0, b], count[0, b], confidence, "empty")} for b in np.flatnonzero(count[0])]
    found = error_and_margin(cells, confidence)
    interval = error_figure(found["ece"], found["margin"])
    return {"ece": found["ece"], "low": interval["low"], "high": interval["high"],
            "ece_95_if_calibrated": _null_ece(count[0], said[0]), "count": total, "reliability": curve}


def error_and_margin(cells: Cells, level: float) -> dict[str, Any]:
    """Returns {"ece", "margin", "n"} of one version's cells, or nulls with a reason where no labelled row has a bin.

    The margin is the quantile at `level` of the sampling noise sum_b w_b |seen_b - true_b|. By the triangle inequality
    the true error lies within the margin of the one seen, on both sides: the error seen is biased upwards, so an
    interval around it by a bootstrap would not do.
    """
    cells = select_known(cells)
    if not len(cells.n):
        return {"ece": None, "margin": None, "n": 0, "reason": NO_CONFIDENCE["reason"]}
    tables = _bins(cells, np.zeros(len(cells.n), np.int64), 1)
    count, right, said = (table[0, tables[0][0] > 0] for table in tables)
    share, total = (right + 0.5) / (count + 1), count.sum()
    drawn = np.random.default_rng(SEED).binomial(count.astype(np.int64), share, (MARGIN_REPLICATES, len(count)))
    noise = np.abs(drawn - count * share).sum(1) / total
    return {"ece": float(np.abs(right - said).sum() / total), "n": int(total),
            "margin": float(np.quantile(noise, level))}


def error_figure(ece: float, margin: float) -> dict[str, float]:
    """Returns the figure of a calibration error with the margin of its sampling noise."""
    return {"value": ece, "low": max(ece - margin, 0.0), "high": ece + margin}


def _null_ece(count: np.ndarray, said: np.ndarray) -> float:
    """The 95% value of the ECE when each bin is right as often as it says: simulated with a fixed seed."""
    rng = np.random.default_rng(SEED)
    drawn = rng.binomial(count.astype(np.int64), np.clip(said / np.maximum(count, 1), 0, 1), (REPLICATES, len(count)))
    return float(np.quantile(np.abs(drawn - said).sum(1) / count.sum(), 0.95))


def class_calibration(cells: Cells) -> list[ClassCalibration]:
    """Per predicted name the ECE and its 95% value if calibrated; null with a reason without and below 30 rows."""
    cells = select_known(cells)
    count, right, said = _bins(cells, cells.predicted, len(cells.names))
    total = count.sum(1)
    error = np.abs(right - said).sum(1) / np.maximum(total, 1)
    return [_class_row(e, e_95, t) for e, e_95, t in
            zip(error.tolist(), _null_class_ece(count, said).tolist(), total.tolist(), strict=True)]


def _class_row(error: float, expected: float, total: float) -> ClassCalibration:
    if not total:
        return NO_CONFIDENCE
    if total < SMALLEST_SUPPORT:
        return {"ece": error, "ece_95_if_calibrated": None, "reason": f"fewer than {SMALLEST_SUPPORT} rows"}
    return {"ece": error, "ece_95_if_calibrated": expected}


def _null_class_ece(count: np.ndarray, said: np.ndarray) -> np.ndarray:
    """As `_null_ece`, for many classes at once: binomials as normals, and only where there are 30 rows."""
    total = count.sum(1)
    found, big = np.zeros(len(total)), total >= SMALLEST_SUPPORT
    rng = np.random.default_rng(SEED)
    noise = np.abs(rng.standard_normal((REPLICATES, count.shape[1]), np.float32))
    p = np.clip(said[big] / np.maximum(count[big], 1), 0, 1)
    spread = np.sqrt(count[big] * p * (1 - p)) / total[big, None]
    for start in range(0, len(spread), 1000):  # 1000 classes x 400 replicates: 3 MB
        part = noise @ spread[start:start + 1000].T.astype(np.float32)
        found[np.flatnonzero(big)[start:start + 1000]] = np.quantile(part, 0.95, axis=0)
    return found


def _bins(cells: Cells, group: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (count, right, sum of confidence) of shape (groups, 20); `group` is each cell's."""
    at = group * BINS + cells.bin

    def add_up(weight: np.ndarray) -> np.ndarray:
        return np.bincount(at, weight, groups * BINS).reshape(groups, BINS)

    return add_up(cells.n), add_up(np.where(cells.right, cells.n, 0)), add_up(cells.sum_confidence / CONFIDENCE_SCALE)
