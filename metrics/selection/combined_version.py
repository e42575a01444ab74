"""What an evaluation says of a version by all labels and all traffic: its accuracy, and the precision of its classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from contract.documents.evidence import CombinedClass, CombinedVersion
from contract.documents.version_figures import Figure, Weighted
from metrics.figure import missing
from metrics.intervals import wilson
from metrics.selection.combined import Combined, combine_audit
from metrics.strata.assessed import lay_over
from metrics.strata.collapse import group_strata
from metrics.strata.strata import FEEDBACK, Strata

NO_AUDIT = "no audit label of a known probability"
Source = Literal["audit", "assessment"]


@dataclass(frozen=True)
class Assessed:
    """Held-out rows of a version (metrics.strata.assessed.list_rows) and the dataset that they are of."""

    dataset: str
    rows: list[dict[str, Any]]


def describe_version(strata: Strata, level: float, rests_on: str, refused: str | None = None, without_audit: int = 0,
                     assessed: Assessed | None = None) -> CombinedVersion:
    """Returns the figures of one version from its finest strata.

    `rests_on`: what the audit is, for people; `refused`: why it is no sample to rest on. A version that has no label of its own
    is estimated from how it was `assessed`, where that is known.
    """
    if assessed is not None and assessed.rows and not strata.n.sum() and not strata.other.sum():
        n = sum(row["n"] for row in assessed.rows)
        said = (f"its own assessment: {n:,} held-out rows of dataset {assessed.dataset}, by class and confidence of its traffic, "
                f"of which nobody labelled anything")
        return _describe(lay_over(strata, assessed.rows), strata, level, "assessment", said, None, 0)
    return _describe(strata, strata, level, "audit", rests_on, refused, without_audit)


def _describe(strata: Strata, traffic: Strata, level: float, origin: Source, rests_on: str, refused: str | None,
              without_audit: int) -> CombinedVersion:
    labels = int(strata.n.sum())
    why = NO_AUDIT if not labels else refused
    said = {name: int(traffic.size[traffic.feedback == place].sum()) for place, name in enumerate(FEEDBACK)}
    found: dict[str, Any] = {
        "origin": None if why else origin, **missing(why or ""), "predictions": int(traffic.size.sum()),
        "without_audit": without_audit, "labels": labels, "strata": 0, "explained": None, "narrower": None,
        "n_effective": None, "size": None, "cautious_size": None, "audit": {**missing(why or ""), "n_effective": None},
        "feedback": said, "rests_on": rests_on, "per_class": []}
    if not why:
        found |= _estimate(strata, level) | {"per_class": list(describe_classes(strata, level))}
        del found["reason"]
    return found  # type: ignore[return-value]


def _estimate(strata: Strata, level: float) -> dict[str, Any]:
    merged, combined = collapse_and_combine(strata)
    alone = combine_audit(strata.merge(np.zeros(len(strata), int)))
    figure, audit = write_figure(combined, combined.variance, level), write_figure(alone, alone.audit_variance, level)
    weighted: Weighted = {**audit, "n_effective": float(alone.kish)}
    return {**figure, "strata": len(merged), "explained": float(combined.explained), "narrower": compare_widths(figure, audit),
            "n_effective": float(combined.kish), "size": float(combined.count_rows(combined.variance)),
            "cautious_size": float(combined.count_rows(combined.cautious)), "audit": weighted}


def collapse_and_combine(strata: Strata) -> tuple[Strata, Combined]:
    """The strata collapsed to enough audit labels, and the estimate from them. At least one label is needed."""
    merged = strata.merge(group_strata(strata))
    return merged, combine_audit(merged)


def write_figure(combined: Combined, variance: Any, level: float) -> Figure:
    """The value with Wilson's interval on the size that a variance stands for."""
    size = float(combined.count_rows(variance))
    low, high = wilson(float(combined.value) * size, size, level)
    return {"value": float(combined.value), "low": float(low), "high": float(high)}


def compare_widths(figure: Figure, audit: Figure) -> float | None:
    """By how much a figure's interval is narrower than the audit's, as a share of that."""
    if figure["low"] is None or figure["high"] is None or audit["low"] is None or audit["high"] is None:
        return None
    return 1 - (figure["high"] - figure["low"]) / (audit["high"] - audit["low"])


def describe_classes(strata: Strata, level: float) -> Iterator[CombinedClass]:
    """Yields the precision of each predicted class that has traffic, its strata collapsed by themselves."""
    order = np.argsort(strata.predicted, kind="stable")
    codes, starts = np.unique(strata.predicted[order], return_index=True)
    for code, places in zip(codes.tolist(), np.split(order, starts[1:]), strict=True):
        mine = strata.where(places)
        size, labels = int(mine.size.sum()), int(mine.n.sum())
        if not size:
            continue
        row: CombinedClass = {"label": strata.names[code], "predicted": size, "labels": labels, "strata": 0,
                              "precision": missing("no audit label of this class")}
        if labels:
            merged, combined = collapse_and_combine(mine)
            row["strata"], row["precision"] = len(merged), write_figure(combined, combined.variance, level)
        yield row
