"""Counts of one model version -> its figures (docs/design.md#counts).

An evaluation and the assessment after training (metrics/held_out.py) both come through here, so they cannot disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.counts import UNNAMED, Origin
from contract.documents.version_figures import LabelCount, Threshold, TopK, Version
from metrics import calibration
from metrics.averages import averages
from metrics.cells import NO_RANK, Cells, by_version
from metrics.figure import share
from metrics.intervals import CONFIDENCE
from metrics.per_class import (
    MOST_CONFUSION,
    confusion,
    confusion_rows,
    count_unnamed,
    find_most_confused,
    per_class,
    split_of,
)
from metrics.selection.basis import Basis
from metrics.selection.corrected import correct_for_selection
from metrics.selection.estimate import accuracy, by_origin, estimate
from metrics.selection.origin_sums import Sums
from metrics.unlabelled import estimate_unlabelled
from metrics.window import WindowCounts

TOP = (1, 3, 5)


@dataclass(frozen=True)
class Rules:
    """What a caller may choose: the accepted wrong / right of a bucket, the bucket edges, the level of intervals."""

    accepted_ratio: float = calibration.ACCEPTED_RATIO
    bucket_edges: tuple[float, ...] | None = None
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class Margins:
    """One version's cells, added up in three ways (metrics.marginals)."""

    pairs: Cells  # (predicted, label)
    bins: Cells  # (predicted, bin, right or wrong)
    ranks: Cells  # (predicted, rank, split, right, wrong or `≠`)
    weighted_pairs: Cells | None  # (origin, predicted, label) of rows whose weight is known; None: there are none
    weighted_bins: Cells | None  # (origin, bin, right or wrong) of these


def margins_by_version(window: WindowCounts) -> dict[str, Margins]:
    """The margins of each version, versions in the order of their bytes."""
    names = ("pairs", "bins", "ranks", "weighted_pairs", "weighted_bins")
    pairs, *others = (by_version(window.total(name)) for name in names)
    bins, ranks, *weighted = others
    return {version: Margins(pairs[version], bins[version], ranks[version], *(of.get(version) for of in weighted))
            for version in pairs}


def make_version_figures(margins: Margins, origins: dict[str, Sums], classes: list[str] | None, rules: Rules,
                         bases: Mapping[Origin, Basis] | None = None) -> Version:
    """`versions.<v>` of evaluation.json. `classes` is the card's list, None for a version without a card; `bases` says
    what the labels of each origin class rest on, where that was looked up."""
    pairs, bins, ranks = margins.pairs, margins.bins, margins.ranks
    found, level = confusion(pairs), rules.confidence
    listed = pairs.classes if classes is None else sorted(set(classes))
    edges = calibration.edges_of(rules.bucket_edges)
    count, wrong = calibration.bucket_counts(bins, edges)
    labelled = int(pairs.n[pairs.labelled].sum())
    predictions = int(pairs.n.sum())
    calibrated = dict(zip(bins.names, calibration.class_calibration(bins), strict=True))
    return {
        "predictions": predictions, "labelled": labelled, "split": int(ranks.n[ranks.split].sum()),
        "coverage": share(labelled, predictions, level, "no predictions"),
        "accuracy": accuracy(origins, level), "estimate": estimate(origins, level, bases),
        "by_origin": by_origin(origins, level), **averages(found, level), "top_k": top_k(ranks, len(listed), level),
        "per_class": per_class(pairs, split_of(ranks), calibrated, found, classes, level),
        "class_list": "labels and predictions seen" if classes is None else "card",
        "new_labels": new_labels(pairs, listed), "unnamed_wrong": count_unnamed(pairs),
        "corrected": correct_for_selection(margins.weighted_pairs, margins.weighted_bins, listed, level),
        "confusion": confusion_rows(found), "confusion_omitted": max(len(found.count) - MOST_CONFUSION, 0),
        "most_confused": find_most_confused(found),
        "confidence_buckets": calibration.bucket_rows(bins.names, count, wrong, edges),
        "confidence_thresholds": threshold_rows(bins.names, listed, count, wrong, edges, rules.accepted_ratio),
        "calibration": calibration.calibration(bins, level), "unlabelled_estimate": estimate_unlabelled(bins, level),
    }


def top_k(cells: Cells, classes: int, level: float) -> list[TopK]:
    """Top-k accuracy for k = 1, 3, 5 over the rows whose rank can tell; `count` says how many those are.

    The rank of a row that was called wrong without a class tells for k = 1 alone (rule 4a); for more, the lower bound
    counts these rows as missed.
    """
    rows: list[TopK] = []
    for k in TOP:
        length, unnamed = -cells.rank, cells.unnamed & (cells.rank != NO_RANK)
        tells = cells.labelled & ((cells.rank >= 1) | (length >= k) | ((length >= classes) & (cells.rank != NO_RANK)))
        tells &= ~unnamed | (k == 1)
        right = int(cells.n[tells & (cells.rank >= 1) & (cells.rank <= k)].sum())
        count = int(cells.n[tells].sum())
        figure = share(right, count, level, "no row's rank can tell")
        missed = int(cells.n[unnamed & ~tells].sum())
        if missed and count:
            figure["low"] = share(right, count + missed, level, "")["low"]
        rows.append({"k": k, "right": right, "count": count, **figure})
    return rows


def threshold_rows(names: list[str], listed: list[str], count: Any, wrong: Any, edges: list[float],
                   ratio: float) -> list[Threshold]:
    """One row for each class of the list and each predicted label with rows, by the bytes of the label."""
    at, supported, support = calibration.thresholds(count, wrong, edges, ratio)
    found = dict(zip(names, zip(at, supported, support, strict=True), strict=True))
    seen = {name for name, total in zip(names, count.sum(1).tolist(), strict=True) if total}
    return [{"predicted": name, "threshold": t, "supported_from": s, "support": n} for name in sorted({*listed, *seen})
            for t, s, n in [found.get(name, (None, None, 0))]]


def new_labels(cells: Cells, listed: list[str]) -> list[LabelCount]:
    """Consensus labels that the class list does not have, with how many predictions they name."""
    support = np.bincount(cells.label[cells.labelled], cells.n[cells.labelled], len(cells.names)).astype(int).tolist()
    known = {*listed, UNNAMED}
    return [{"label": x, "count": n} for x, n in zip(cells.names, support, strict=True) if n and x not in known]
