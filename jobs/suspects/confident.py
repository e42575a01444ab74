"""Confident learning: which given labels are likely wrong, by probabilities out of sample. The home of cleanlab.

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
                         "trueup[suspects].")


def find_wrong(given: np.ndarray, p: np.ndarray) -> Found:
    """Finds labels that are likely wrong; `given` int64 [rows], `p` float64 [rows, classes], each row summing to 1.

    A class that no row was given falls away first: nothing says how sure an answer of it has to be. With one class left
    no label can be wrong.
    """
    present = np.unique(given)
    if len(present) < 2:
        return Found(np.zeros(len(given), bool), np.ones(len(given)), given.copy())
    within = p[:, present]
    total = within.sum(1, keepdims=True)
    within = np.where(total > 0, within, 1.0) * np.reciprocal(np.where(total > 0, total, float(len(present))))
    place = np.searchsorted(present, given)
    wrong = _ask_cleanlab(place, within)
    likely = within.argmax(1)
    return Found(wrong & (likely != place), within[np.arange(len(place)), place], present[likely])


def _ask_cleanlab(place: np.ndarray, p: np.ndarray) -> np.ndarray:
    """As many rows of lowest self-confidence as the confident joint estimates to be wrong: fewest right ones among them."""
    from cleanlab.filter import find_label_issues

    return np.asarray(find_label_issues(labels=place, pred_probs=p, filter_by="low_self_confidence", n_jobs=1), bool)
