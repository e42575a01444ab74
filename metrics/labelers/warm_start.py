"""A fit that goes on from an earlier one: its parameters, for the classes and labelers of a new window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contract.counts import WEIGHT_SCALE
from contract.documents.labeler_fit import LabelerFit
from metrics.labelers.form import Parameters
from metrics.labelers.votes import Index

if TYPE_CHECKING:
    import pyarrow as pa


def find_prior(index: Index, fit: LabelerFit) -> np.ndarray:
    """Returns the shares of classes; a class that the fit does not know begins as its rarest one."""
    known = {c.label: c.prior for c in fit.classes}
    prior = np.array([known.get(label, min(known.values())) for label in index.classes])
    return prior / prior.sum()


def start_one_coin(index: Index, fit: LabelerFit, labelers: pa.Table) -> Parameters:
    """Returns the start of the one-coin form: what the fit says of each labeler, of new ones what it says of everybody."""
    known = dict(zip(labelers["labeler"].to_pylist(), labelers["accuracy"].to_pylist(), strict=True))
    return Parameters(find_prior(index, fit), np.array([known.get(who, known[None]) for who in index.labelers]))


def start_full(index: Index, fit: LabelerFit, labelers: pa.Table, confusion: pa.Table) -> Parameters:
    """Returns the start of the full form: cells of the fit where it has them, else by the labeler's hit and miss."""
    general = {who: (hit, miss) for who, hit, miss in zip(*(labelers[c].to_pylist() for c in ("labeler", "hit", "miss")),
                                                          strict=True)}
    scores = dict(zip(zip(*(confusion[c].to_pylist() for c in ("labeler", "said", "truth")), strict=True),
                      confusion["score"].to_pylist(), strict=True))
    votes = np.empty((len(index.label), len(index.classes)))
    for n, (who, said) in enumerate(zip(index.labeler.tolist(), index.label.tolist(), strict=True)):
        name = index.labelers[who] if index.labelers[who] in general else None
        hit, miss = general[name]
        for t, truth in enumerate(index.classes):
            votes[n, t] = scores.get((name, index.classes[said], truth), hit if t == said else miss)
    return Parameters(find_prior(index, fit), votes / WEIGHT_SCALE)
