"""Applies a fit of labelers to a question: as weights in the one-coin form, as scores in the full one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from contract import layout
from contract.counts import WEIGHT_SCALE
from contract.stores.recorded import RecordedReads
from contract.stores.store import Storage
from jobs.engines.question import Question
from jobs.engines.scores import LabelerScores

if TYPE_CHECKING:
    from contract.documents.labeler_fit import LabelerFit


def apply_fit(storage: Storage, question: Question) -> Question:
    """Returns the question with what the fit that it names says of labelers; the same question where it names none.

    A question with weights of its own (`evaluate.labeler_weights`) is left as it is: its fit is only a name. NotFound: there
    is no such fit.
    """
    if question.fit is None or question.labeler_weights:
        return question
    from contract.documents.labeler_fit import load_fit

    fit = load_fit(storage, question.model, question.fit)
    if fit.form == "full":
        return replace(question, fit=fit.name, consensus="scores", scores=read_scores(storage, fit))
    return replace(question, fit=fit.name, labeler_weights=read_weights(storage, fit))


def apply_and_note(storage: Storage, question: Question) -> tuple[Question, dict[str, str]]:
    """Returns what `apply_fit` does, and key -> sha256 of the fit's document and of the tables that were read."""
    seen = RecordedReads(storage)
    applied = apply_fit(seen, question)
    folder = layout.fit(question.model, applied.fit) if applied.fit else None
    return applied, {key: sha256 for key, sha256 in seen.seen.items() if folder and key.startswith(folder)}


def read_weights(storage: Storage, fit: LabelerFit) -> dict[str, int]:
    """Reads the weights that are not 1, by labeler, in 65,536ths."""
    from contract.documents.labeler_fit import read_fit_table

    table = read_fit_table(storage, fit, "labelers")
    found = zip(table["labeler"].to_pylist(), table["weight"].to_pylist(), strict=True)
    return {who: weight for who, weight in found if who is not None and weight != WEIGHT_SCALE}


def read_scores(storage: Storage, fit: LabelerFit) -> LabelerScores:
    """Reads the scores of a fit in the full form."""
    from contract.documents.labeler_fit import read_fit_table

    labelers, confusion = (read_fit_table(storage, fit, name) for name in ("labelers", "confusion"))
    who = labelers["labeler"].to_pylist()
    classes = tuple(c.label for c in fit.classes)
    prior = tuple(c.score for c in fit.classes)
    place = {label: n for n, label in enumerate(classes)}
    cells: defaultdict[tuple[str | None, str], list[int]] = defaultdict(lambda: [0] * len(classes))
    columns = (confusion[name].to_pylist() for name in ("labeler", "truth", "said", "score"))
    for labeler, truth, said, score in zip(*columns, strict=True):
        cells[labeler, said][place[truth]] = score
    return LabelerScores(
        classes, prior, min(prior), dict(zip(who, labelers["hit"].to_pylist(), strict=True)),
        dict(zip(who, labelers["miss"].to_pylist(), strict=True)), {key: tuple(of) for key, of in cells.items()},
        digest=f"{fit.model}/{fit.name}/{fit.tables['confusion']}/{fit.tables['labelers']}/{prior}")
