"""Accuracy by the quarters of a measure: are the dark pictures those that are wrong?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from contract.evidence.pictures import BandAccuracy
from contract.measured.document import Histogram
from contract.measured.measures import MEASURES, Measure
from metrics.figure import share
from metrics.pictures.compare import find_quantile

BANDS: tuple[Literal["lowest", "second", "third", "highest"], ...] = ("lowest", "second", "third", "highest")
NO_LABELS = "no labels"


def find_limits(of: Histogram, measure: Measure) -> list[float] | None:
    """The quartiles of a histogram; None where the middle half lies in one bin, so that quarters would tell nothing."""
    cumulated = np.cumsum(of.counts)
    if not cumulated[-1]:
        return None
    limits = [find_quantile(of, measure, part) for part in (0.25, 0.5, 0.75)]
    first, last = (int(np.searchsorted(cumulated, part * cumulated[-1])) for part in (0.25, 0.75))
    return limits if first < last else None


def judge_bands(values: Mapping[str, np.ndarray], right: np.ndarray, reference: Mapping[str, Histogram],
                confidence: float) -> list[BandAccuracy]:
    """Accuracy with Wilson's interval of the rows in each quarter of the reference's, for each measure that has quarters.

    `values`: measure -> float [rows], NaN: not known; `right`: bool [rows].
    """
    found: list[BandAccuracy] = []
    for measure in MEASURES:
        limits = find_limits(reference[measure.name], measure)
        if limits is None:
            continue
        of_row = values[measure.name]
        known = ~np.isnan(of_row)
        bands = np.searchsorted(limits, of_row[known], side="right")
        for k, band in enumerate(BANDS):
            mine = right[known][bands == k]
            found.append({"measure": measure.name, "band": band, "at_least": limits[k - 1] if k else None,
                          "below": limits[k] if k < len(limits) else None, "labelled": len(mine),
                          "accuracy": share(int(mine.sum()), len(mine), confidence, NO_LABELS)})
    return found
