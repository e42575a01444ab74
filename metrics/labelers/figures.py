"""What a fit of labelers says, as its tables (contract/documents/labeler_fit.py), with whole numbers for the consensus.

Engines must agree to the unit, and logarithms of two machines need not: so the numbers are made once, here, and stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contract.counts import WEIGHT_SCALE
from contract.documents.labeler_fit import CONFUSION, LABELERS, FitClass
from metrics.labelers.form import LEAST, Fitted
from metrics.labelers.full import Full
from metrics.labelers.one_coin import find_hit_and_miss
from metrics.labelers.votes import Index

if TYPE_CHECKING:
    import pyarrow as pa

MOST_WEIGHT = 1000


def to_score(chance: np.ndarray) -> np.ndarray:
    """Returns floor(ln(chance) * 2^16) as whole numbers."""
    return np.floor(np.log(np.maximum(chance, LEAST)) * WEIGHT_SCALE).astype(np.int64)


def list_classes(index: Index, fitted: Fitted) -> list[FitClass]:
    """Lists the classes with their shares and scores."""
    prior = np.clip(fitted.parameters.prior, 0.0, 1.0)
    return [FitClass(label=name, prior=p, score=score)
            for name, p, score in zip(index.classes, prior.tolist(), to_score(prior).tolist(), strict=True)]


def tabulate_labelers(index: Index, given: np.ndarray, right: np.ndarray, smoothing: float) -> pa.Table:
    """Makes the table `labelers`: a row for each by their bytes, after that of everybody. `given`: votes of each labeler;
    `right`: how many of them are right, as the fit expects.
    """
    import pyarrow as pa

    k = len(index.classes)
    given, right = (np.append(column.sum(), column) for column in (given.astype(float), right))
    accuracy = (right + smoothing) / (given + smoothing * k)
    hit, miss = find_hit_and_miss(accuracy, k)
    columns = [pa.array([None, *index.labelers], pa.string()), given.astype(np.int64), right, accuracy,
               find_weights(hit, miss), to_score(hit), to_score(miss)]
    return pa.table(columns, schema=LABELERS.arrow())


def find_weights(hit: np.ndarray, miss: np.ndarray) -> np.ndarray:
    """Returns floor(weight * 2^16) of each labeler: log odds of the right class against a wrong one, everybody's (the first)
    being 1. 0 for those who are no better than chance; 1,000 at the most. All are 0 where everybody is no better.
    """
    odds = np.log(hit) - np.log(miss)
    if odds[0] <= 0:
        return np.zeros(len(odds), np.int64)
    return np.floor(np.clip(odds / odds[0], 0, MOST_WEIGHT) * WEIGHT_SCALE).astype(np.int64)


def count_right(index: Index, votes: np.ndarray) -> np.ndarray:
    """Returns how many votes of each labeler are right, from the expected votes of the full form."""
    own = votes[np.arange(len(index.label)), index.label]
    return np.bincount(index.labeler, own, len(index.labelers))


def tabulate_confusion(form: Full, fitted: Fitted) -> pa.Table:
    """Makes the table `confusion`: of everybody each pair of classes, of each labeler those whose label they gave."""
    import pyarrow as pa

    index, votes = form.index, fitted.sums.votes
    k, pairs = len(index.classes), len(index.label)
    whole = np.zeros((k, k))
    np.add.at(whole, index.label, votes)
    all_of = Index(index.classes, ["everybody"], np.zeros(k, np.int32), np.arange(k, dtype=np.int32))
    shares = np.concatenate([Full(all_of, form.smoothing).find_shares(whole), form.find_shares(votes)])
    names, people = pa.array(index.classes, pa.string()), pa.array(index.labelers, pa.string())
    who = pa.array(np.append(np.full(k, -1), index.labeler).repeat(k), mask=np.arange((k + pairs) * k) < k * k)
    columns = [people.take(who), names.take(pa.array(np.tile(np.arange(k), k + pairs))),
               names.take(pa.array(np.append(np.arange(k), index.label).repeat(k))),
               np.concatenate([whole, votes]).ravel(), shares.ravel(), to_score(shares).ravel()]
    return pa.table(columns, schema=CONFUSION.arrow())
