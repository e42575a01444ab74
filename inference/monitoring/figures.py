"""What the documents of a root say of each model today, as /metrics tells it: verdict, accuracy by version, ages.

    documents = Documents(storage, max_age_days=3.0)
    documents.read()                        # one ModelFigures a model, published or only evaluated

Only documents are read, so every replica of a service finds the same. A damaged one is passed over; /overview names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from contract import clock, layout
from contract.deciding.formats import list_answering
from contract.documents.evaluation import Evaluation
from contract.documents.version_figures import Figure, Version
from contract.errors import DamagedDocument, Mismatch, NotFound
from contract.evaluations import (
    UNDECIDED,
    find_bound,
    find_newest_to_judge,
    find_verdict,
    is_stale,
    list_known_models,
    read_evaluation,
)
from contract.registry import Registry
from contract.stores.store import Storage

VERDICTS = ("pass", "fail", UNDECIDED)
NO_VERDICT = "none"  # nobody has judged the live version yet
MAY_BE_DECIDED = 3  # newest evaluations whose decision may still come
READ_ALL_AGAIN = 20  # looks
UNREADABLE = (DamagedDocument, Mismatch, NotFound, ValueError, KeyError)


@dataclass(frozen=True)
class VersionFigures:
    """One version in the newest evaluation: its accuracy with the interval (0 to 1; None: not known) and counts of rows."""

    version: str
    accuracy: float | None
    low: float | None
    high: float | None
    labelled: int
    predictions: int


@dataclass(frozen=True)
class Evaluated:
    """The newest evaluation: when it was made, the end of the newest prediction day that it saw (seconds since 1970)."""

    at: float
    data_until: float
    versions: tuple[VersionFigures, ...]


@dataclass(frozen=True)
class ModelFigures:
    """One model; `evaluated` is None while there is no evaluation."""

    model: str
    judged: str | None  # the version that was judged: the live one, one of its formats, or of a model that is in no registry
    verdict: str
    bound: float | None
    evaluated: Evaluated | None


class Documents:
    """Reads the documents of a root. Large ones are parsed again only when there are others: that would hold up answers."""

    def __init__(self, storage: Storage, max_age_days: float | None) -> None:
        """`max_age_days`: a verdict older than this is `cannot tell`, as everywhere."""
        self._storage, self._max_age = storage, max_age_days
        self._kept: dict[str, tuple[object, dict[str, Any] | None, Evaluated | None]] = {}
        self._looks = 0

    def read(self) -> list[ModelFigures]:
        """Reads what there is of every model."""
        if self._looks % READ_ALL_AGAIN == 0:  # a document that was damaged may have been repaired
            self._kept.clear()
        self._looks += 1
        return [self._read_model(model) for model in list_known_models(self._storage)]

    def _read_model(self, model: str) -> ModelFigures:
        newest, _ = Registry(self._storage, model).newest_known()
        live = list_answering(newest.state if newest else None)
        decision, evaluated = self._find(model, live)
        judged = decision["version"] if decision else next(iter(live), None)
        return ModelFigures(model, judged, _name_verdict(decision, self._max_age), find_bound(decision), evaluated)

    def _find(self, model: str, live: list[str]) -> tuple[dict[str, Any] | None, Evaluated | None]:
        names = sorted(self._storage.folders(layout.evaluations(model)), reverse=True)
        decided = [self._storage.exists(layout.decision(model, name)) for name in names[:MAY_BE_DECIDED]]
        finished = [self._storage.exists(layout.evaluation_document(model, name)) for name in names[:1]]
        seen = (tuple(names), tuple(live), tuple(decided), tuple(finished))
        if model not in self._kept or self._kept[model][0] != seen:
            found = _find_evaluation(self._storage, model)
            self._kept[model] = seen, _find_decision(self._storage, model, live), _describe(found) if found else None
        return self._kept[model][1:]


def _find_decision(storage: Storage, model: str, live: list[str]) -> dict[str, Any] | None:
    try:
        return find_verdict(storage, model, live, [])
    except UNREADABLE:
        return None


def _find_evaluation(storage: Storage, model: str) -> Evaluation | None:
    try:
        return read_evaluation(storage, model, find_newest_to_judge(storage, model))
    except UNREADABLE:
        return None


def _name_verdict(decision: dict[str, Any] | None, max_age_days: float | None) -> str:
    if decision is None:
        return NO_VERDICT
    said: str = decision["verdict"]
    return UNDECIDED if is_stale(decision, max_age_days) or said not in VERDICTS else said


def _describe(evaluation: Evaluation) -> Evaluated:
    day = evaluation.get("newest_day") or evaluation["window"]["to"]
    end = clock.parse_moment(f"{day}T00:00:00Z") + timedelta(days=1)
    versions = tuple(_describe_version(version, evaluation["versions"][version]) for version in evaluation["versions"])
    return Evaluated(clock.parse_moment(evaluation["as_of"]).timestamp(), end.timestamp(), versions)


def _describe_version(version: str, figures: Version) -> VersionFigures:
    accuracy: Figure = figures["estimate"]
    value, low, high = accuracy["value"], accuracy["low"], accuracy["high"]
    return VersionFigures(version, value, low, high, figures["labelled"], figures["predictions"])
