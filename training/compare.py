"""Two models on the same rows: paired counts and what follows from them. Pure; numpy arrays in, plain values out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.intervals import mcnemar, paired_difference, wilson

CALIBRATION_BINS = 20
AUDIT_ENOUGH = 100  # audited rows from which on their comparison is the one to believe
REPLICATES, SEED = 1000, 20_260_101


@dataclass(frozen=True)
class Answers:
    """One model's answers to n rows: the label named (an index into the dataset's classes, -1: one that it lacks) and
    its probability."""

    named: Any
    confidence: Any


def paired(truth: Any, live: Answers, candidate: Answers, rows: Any = None) -> dict[str, Any]:
    """Counts of the rows by who was right, both accuracies, their difference (candidate - live) and McNemar's test."""
    rows = np.ones(len(truth), bool) if rows is None else rows
    a, b = (live.named == truth)[rows], (candidate.named == truth)[rows]
    counts = {"n": len(a), "both": int((a & b).sum()), "only_live": int((a & ~b).sum()),
              "only_candidate": int((~a & b).sum()), "neither": int((~a & ~b).sum())}
    if not len(a):
        return counts | {"live": missing(), "candidate": missing(), "difference": missing(), "mcnemar": None}
    low, high = paired_difference(counts["both"], counts["only_candidate"], counts["only_live"], counts["neither"])
    tests = mcnemar(counts["only_candidate"], counts["only_live"])
    return counts | {"live": share(int(a.sum()), len(a)), "candidate": share(int(b.sum()), len(b)),
                     "difference": {"value": (int(b.sum()) - int(a.sum())) / len(a), "low": low, "high": high},
                     "mcnemar": {"two_sided": tests["two_sided"], "candidate_worse": tests["a_worse"],
                                 "live_worse": tests["b_worse"]}}


def decides(by_origin: dict[str, dict[str, Any]]) -> str:
    """What the gate's overall comparison rests on: "audit" when there are enough audited rows, else "overall"."""
    return "audit" if by_origin.get("audit", {"n": 0})["n"] >= AUDIT_ENOUGH else "overall"


def missing() -> dict[str, Any]:
    """A figure that has no rows."""
    return {"value": None, "reason": "no rows"}


def share(right: int, n: int) -> dict[str, float]:
    """An accuracy with Wilson's interval."""
    low, high = wilson(right, n)
    return {"value": right / n, "low": float(low), "high": float(high)}


def weighted(truth: Any, live: Answers, candidate: Answers, p: Any) -> dict[str, Any]:
    """The difference weighted by 1/p over the rows whose selection probability is known, with a bootstrap interval.

    Percentile bootstrap over rows (fixed seed). `p` holds NaN where unknown.
    """
    known = np.isfinite(p) & (p > 0)
    if known.sum() < 2:
        return missing() | {"n": int(known.sum())}
    gain = ((candidate.named == truth).astype(float) - (live.named == truth))[known]
    weight = 1 / p[known]
    rng = np.random.default_rng(SEED)
    draws = rng.multinomial(len(gain), np.full(len(gain), 1 / len(gain)), REPLICATES)
    values = (draws @ (gain * weight)) / (draws @ weight)
    low, high = np.quantile(values, [0.025, 0.975])
    return {"value": float((gain * weight).sum() / weight.sum()), "low": float(low), "high": float(high),
            "n": int(known.sum())}


def calibration_error(truth: Any, answers: Answers) -> float | None:
    """Expected calibration error over 20 bins of confidence (Naeini et al. 2015); None without rows."""
    if not len(truth):
        return None
    bins = np.minimum((answers.confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    right = answers.named == truth
    gaps = [abs(right[bins == k].sum() - answers.confidence[bins == k].sum()) for k in range(CALIBRATION_BINS)]
    return float(sum(gaps) / len(truth))


def per_class(truth: Any, live: Answers, candidate: Answers, classes: Sequence[str]) -> list[dict[str, Any]]:
    """`paired` for the rows of each class that has some; accuracies are recalls here."""
    return [{"label": label, **paired(truth, live, candidate, truth == k)}
            for k, label in enumerate(classes) if (truth == k).any()]


def groups(truth: Any, live: Answers, candidate: Answers, of: Sequence[str]) -> dict[str, Any]:
    """`paired` for each value of a column."""
    values = np.asarray(of, object)
    return {value: paired(truth, live, candidate, values == value) for value in sorted(set(of))}
