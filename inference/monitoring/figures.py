"""What the documents of a root say of each model today, as /metrics tells it: verdict, accuracy by version, ages.

    found = read_figures(storage, max_age_days=3.0)       # one ModelFigures a model, published or only evaluated

Only documents are read, so every replica of a service finds the same. A damaged one is passed over; /overview names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from contract import clock
from contract.documents.evaluation import Evaluation
from contract.documents.version_figures import Figure
from contract.errors import DamagedDocument, Mismatch, NotFound
from contract.evaluations import STALE, find_newest_to_judge, find_verdict, is_stale, list_known_models, read_evaluation
from contract.registry import Registry
from contract.stores.store import Storage

VERDICTS = ("pass", "fail", STALE)
NO_VERDICT = "none"  # nobody has judged the live version yet
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
class ModelFigures:
    """One model. Moments are seconds since 1970 (None: there is no such document)."""

    model: str
    judged: str | None  # the live version; of a model that is in no registry the version that was judged
    verdict: str
    bound: float | None
    evaluated_at: float | None
    data_until: float | None  # the end of the newest prediction day that the evaluation saw
    versions: tuple[VersionFigures, ...]


def read_figures(storage: Storage, max_age_days: float | None) -> list[ModelFigures]:
    """Reads what there is of every model; a verdict older than `max_age_days` is `cannot tell`, as everywhere."""
    return [_read_model(storage, model, max_age_days) for model in list_known_models(storage)]


def _read_model(storage: Storage, model: str, max_age_days: float | None) -> ModelFigures:
    newest, _ = Registry(storage, model).newest_known()
    live = newest.state.live if newest else None
    decision = _find_decision(storage, model, live)
    evaluation = _find_evaluation(storage, model)
    judged = live or (decision["version"] if decision else None)
    return ModelFigures(model, judged, _name_verdict(decision, max_age_days), _find_bound(decision),
                        _count_seconds(evaluation["as_of"]) if evaluation else None,
                        _find_end_of_data(evaluation) if evaluation else None,
                        tuple(_describe_versions(evaluation)) if evaluation else ())


def _find_decision(storage: Storage, model: str, live: str | None) -> dict[str, Any] | None:
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
    return STALE if is_stale(decision, max_age_days) or said not in VERDICTS else said


def _find_bound(decision: dict[str, Any] | None) -> float | None:
    gates = decision["gates"] if decision else []
    return next((gate.get("bound") for gate in gates if gate.get("gate") == "accuracy"), None)


def _find_end_of_data(evaluation: Evaluation) -> float:
    day = evaluation.get("newest_day") or evaluation["window"]["to"]
    return (clock.parse_moment(f"{day}T00:00:00Z") + timedelta(days=1)).timestamp()


def _count_seconds(moment: str) -> float:
    return clock.parse_moment(moment).timestamp()


def _describe_versions(evaluation: Evaluation) -> list[VersionFigures]:
    made = []
    for version, figures in evaluation["versions"].items():
        accuracy: Figure = figures["estimate"]
        made.append(VersionFigures(version, accuracy["value"], accuracy["low"], accuracy["high"], figures["labelled"],
                                   figures["predictions"]))
    return made
