"""Rows that are at hand, one by one, become cells, and then figures by the very functions that an evaluation uses.

An engine counts a day's log into cells; the assessment after training has held-out rows and the answers of a model
instead. Both end in the same table, so the two cannot say different things of the same rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.confidence import NO_BIN, confidence_bins
from contract.counts import (
    CELLS,
    CONFIDENCE_SCALE,
    ROWS,
    SMALLEST_P,
    WEIGHT_SCALE,
    DayCounts,
    canonical,
    empty_tables,
)
from metrics.calibration import error_and_margin
from metrics.cells import by_version
from metrics.intervals import CONFIDENCE
from metrics.version import Rules, make_version_figures, margins_by_version
from metrics.window import WindowCounts

if TYPE_CHECKING:
    import pyarrow as pa

# What an assessment has of `versions.<v>` of an evaluation. The rest rests on what held-out rows do not have: the rank of
# the label, rows without a label, days.
FIGURES = ("accuracy", "balanced_accuracy", "macro", "weighted", "per_class", "new_labels", "calibration")


@dataclass(frozen=True)
class HeldOutRows:
    """n labelled rows and what one version answered to them, all columns of length n.

    `confidence` is the probability of `predicted`, `p` the selection probability (NaN where unknown); `origin` is one of
    contract.counts.ORIGINS.
    """

    predicted: Sequence[str]
    confidence: np.ndarray
    label: Sequence[str]
    origin: Sequence[str]
    p: np.ndarray


def figures(rows: HeldOutRows, version: str, classes: list[str] | None, rules: Rules | None = None) -> dict[str, Any]:
    """Returns FIGURES of a version as an evaluation has them. `classes` is the list of its card, None without a card."""
    counts = DayCounts("held out", empty_tables() | {"cells": cells(rows, version)}, dict.fromkeys(ROWS, 0))
    window = WindowCounts.of([counts])
    margins = margins_by_version(window)[version]
    of_all = make_version_figures(margins, window.origins[version], classes, rules or Rules())
    named: Mapping[str, Any] = {**of_all}
    return {name: named[name] for name in FIGURES}


def cells(rows: HeldOutRows, version: str) -> "pa.Table":
    """Returns the cells (contract.counts.CELLS) of the rows, in canonical order."""
    import pyarrow as pa

    n = len(rows.label)
    bins = confidence_bins(rows.confidence)
    fixed = (np.where(bins == NO_BIN, 0.0, rows.confidence) * CONFIDENCE_SCALE).astype(np.int64)
    weight = _weights(rows.p)
    columns = {
        "model_version": pa.repeat(version, n), "predicted": pa.array(rows.predicted, pa.string()),
        "confidence_bin": pa.array(bins, mask=bins == NO_BIN), "label": pa.array(rows.label, pa.string()),
        "origin": pa.array(rows.origin, pa.string()), "saw_prediction": pa.nulls(n), "rank": pa.nulls(n),
        "split": pa.repeat(False, n), "n": pa.repeat(1, n),
        "sum_confidence": pa.array(fixed),
        "n_weighted": pa.array((weight > 0).astype(np.int64)), "sum_weight": pa.array(weight),
        "sum_weight_squared": pa.array([w * w for w in weight.tolist()], pa.decimal128(38, 0)),
        "sum_weight_confidence": pa.array([w * c for w, c in zip(weight.tolist(), fixed.tolist(), strict=True)],
                                          pa.decimal128(38, 0)),
    }
    return canonical(CELLS.name, pa.table(columns))


def _weights(p: np.ndarray) -> np.ndarray:
    """Returns floor(2^16 / p) as int64; 0 (unknown) where p is NaN or outside [2^-20, 1]."""
    known = (p >= SMALLEST_P) & (p <= 1)
    return np.where(known, np.floor(WEIGHT_SCALE / np.where(known, p, 1.0)), 0).astype(np.int64)


def measure_calibration_error(rows: HeldOutRows) -> dict[str, Any]:
    """Returns {ece, margin, n} of one version's answers, at 95% (metrics.calibration.error_and_margin)."""
    (of_all,) = by_version(cells(rows, "1")).values()
    return error_and_margin(of_all, CONFIDENCE)
