"""What an assessment says of two versions on the same held-out rows. It lays the rows out; metrics/ divides."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics import held_out
from metrics.held_out import HeldOutRows
from metrics.significance.paired import Paired, estimate_weighted_difference
from metrics.strata.assessed import list_rows

MOST_LEFT_OUT = 20


@dataclass(frozen=True)
class Answers:
    """One version's answers to n rows.

    `named` is the place of the label named in `classes`, the version's own list; `index` is that label's place in the
    dataset's classes, -1 for one that the dataset lacks; `confidence` is the probability of the label.
    """

    index: np.ndarray
    confidence: np.ndarray
    named: np.ndarray
    classes: Sequence[str]


def compare_paired(truth: np.ndarray, live: Answers, candidate: Answers, rows: np.ndarray | None = None) -> dict[str, Any]:
    """Returns `metrics.significance.paired` of the rows (a bool mask; None: all): counts, accuracies, difference, McNemar's test.

    `truth` is the place of each row's label in the dataset's classes.
    """
    rows = np.ones(len(truth), bool) if rows is None else rows
    return Paired.count((live.index == truth)[rows], (candidate.index == truth)[rows]).to_dict()


def count_differing(live: Answers, candidate: Answers) -> dict[str, int]:
    """Returns {n, differ}: on how many of the n rows the two name different labels, right or wrong."""
    names = [np.asarray(side.classes, object)[side.named] for side in (live, candidate)]
    return {"n": len(names[0]), "differ": int((names[0] != names[1]).sum())}


def compare_weighted(truth: np.ndarray, live: Answers, candidate: Answers, p: np.ndarray) -> dict[str, Any]:
    """Returns candidate - live weighted by 1/p, over the rows whose selection probability `p` is known (not NaN)."""
    return estimate_weighted_difference(live.index == truth, candidate.index == truth, p)


def compare_classes(truth: np.ndarray, live: Answers, candidate: Answers, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Returns compare_paired's figures for the rows of each class that has some; accuracies are recalls here."""
    return [{"label": label, **compare_paired(truth, live, candidate, truth == k)}
            for k, label in enumerate(classes) if (truth == k).any()]


def count_by_class_and_origin(truth: np.ndarray, live: Answers, candidate: Answers, classes: Sequence[str],
                              origin: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the paired counts of each class and origin that has rows: they add up over origins."""
    origins, found = np.asarray(origin, object), []
    for name in sorted(set(origin)):
        for k in np.unique(truth[origins == name]).tolist():
            pairs = compare_paired(truth, live, candidate, (origins == name) & (truth == k))
            counts = {count: pairs[count] for count in ("n", "both", "only_live", "only_candidate", "neither")}
            found.append({"label": classes[k], "origin": name, **counts})
    return found


def compare_groups(truth: np.ndarray, live: Answers, candidate: Answers, of: Sequence[str],
                   rows: np.ndarray | None = None) -> dict[str, Any]:
    """Returns compare_paired's figures for each value of a column, of the rows (a bool mask; None: all)."""
    values = np.asarray(of, object)
    chosen = np.ones(len(truth), bool) if rows is None else rows
    return {value: compare_paired(truth, live, candidate, chosen & (values == value))
            for value in sorted(set(values[chosen].tolist()))}


def leave_out_each(truth: np.ndarray, live: Answers, candidate: Answers, origin: Sequence[str], in_window: np.ndarray,
                   alone: Sequence[str | None]) -> list[dict[str, Any]]:
    """Returns {labeler, rows, by_origin, window: {by_origin}} for each of the 20 who alone labelled most rows: the paired
    counts by origin of the rows that are left without theirs, of all and of the dataset's own window."""
    sizes, who = Counter(name for name in alone if name is not None), np.asarray(alone, object)
    found = []
    for name, n in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:MOST_LEFT_OUT]:
        left = who != name
        found.append({"labeler": name or None, "rows": n, "by_origin": compare_groups(truth, live, candidate, origin, left),
                      "window": {"by_origin": compare_groups(truth, live, candidate, origin, left & in_window)}})
    return found


def measure_version(truth: np.ndarray, answers: Answers, classes: Sequence[str], origin: Sequence[str], p: np.ndarray,
                    version: str) -> dict[str, Any]:
    """Returns what an evaluation would say of the version on these rows (metrics.held_out.FIGURES), and their `strata`.

    `classes` are the dataset's, which `truth` points into.
    """
    rows = HeldOutRows(predicted=[answers.classes[n] for n in answers.named], confidence=answers.confidence,
                       label=[classes[k] for k in truth], origin=origin, p=p)
    found = held_out.figures(rows, version, list(answers.classes))
    return found | {"strata": list_rows(held_out.cells(rows, version))}


def compare_calibrations(truth: np.ndarray, answers: Answers, raw: Answers | None, classes: Sequence[str],
                         origin: Sequence[str]) -> dict[str, Any]:
    """Returns {calibration_by_origin: {origin: {ece, margin, n}}, uncalibrated: {ece, margin, n}}: the calibration errors of a
    version's answers to the rows of each origin, and of all rows as they would be without its calibration (null: it has none).

    `margin`: of the sampling noise at 95% (metrics.calibration.error_and_margin).
    """
    origins = np.asarray(origin, object)
    return {"calibration_by_origin": {name: _measure_error(truth, answers, classes, origins, origins == name)
                                      for name in sorted(set(origin))},
            "uncalibrated": None if raw is None else _measure_error(truth, raw, classes, origins, np.ones(len(truth), bool))}


def _measure_error(truth: np.ndarray, answers: Answers, classes: Sequence[str], origins: np.ndarray,
                   chosen: np.ndarray) -> dict[str, Any]:
    rows = HeldOutRows(predicted=[answers.classes[n] for n in answers.named[chosen]], confidence=answers.confidence[chosen],
                       label=[classes[k] for k in truth[chosen]], origin=origins[chosen].tolist(),
                       p=np.full(int(chosen.sum()), np.nan))
    return held_out.measure_calibration_error(rows)
