"""Confident learning: which given labels are likely wrong, by probabilities out of sample. No other file imports cleanlab.

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70 (2021).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from contract.errors import UsageError


class Found(NamedTuple):
    """Of each row: whether its label is likely wrong, the probability of the given label, and the likeliest class."""

    wrong: np.ndarray
    score: np.ndarray
    likely: np.ndarray


def require_cleanlab() -> None:
    """UsageError: cleanlab is not installed here."""
    if find_spec("cleanlab") is None or find_spec("sklearn") is None:
        raise UsageError("expected cleanlab and scikit-learn, which find labels that are likely wrong. Install them: pip install "
                         "'trueup[suspects]'.")


def find_wrong(given: np.ndarray, p: np.ndarray) -> Found:
    """Finds labels that are likely wrong; `given` int64 [rows], `p` float64 [rows, classes], each row summing to 1.

    Of the rows whose given label is not the likeliest class, those whose given label is least probable are taken, as many as
    the confident joint estimates. A class that no row was given is dropped first: it has no confidence threshold. With one
    class left no label can be wrong.
    """
    present = np.unique(given)
    if len(present) < 2:
        return Found(np.zeros(len(given), bool), np.ones(len(given)), given.copy())
    within = p[:, present]
    total = within.sum(1, keepdims=True)
    within = np.where(total > 0, within, 1.0) * np.reciprocal(np.where(total > 0, total, float(len(present))))
    place = np.searchsorted(present, given)
    score, likely = within[np.arange(len(place)), place], within.argmax(1)
    wrong = np.zeros(len(place), bool)
    doubted = np.flatnonzero(likely != place)
    wrong[doubted[np.argsort(score[doubted], kind="stable")[:_estimate_number(place, within)]]] = True
    return Found(wrong, score, present[likely])


def _estimate_number(place: np.ndarray, p: np.ndarray) -> int:
    """How many labels are wrong: the rows off the diagonal of the confident joint, calibrated to the given labels."""
    from cleanlab.count import num_label_issues

    return int(num_label_issues(place, p, estimation_method="off_diagonal_calibrated"))
