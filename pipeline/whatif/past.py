"""What was said of a model on each day, and what an evaluation of that day rested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from contract import clock
from contract.deciding.formats import list_answering
from contract.documents.evaluation import Evaluation
from contract.documents.history import HistoryEntry, State
from contract.errors import DamagedDocument, UsageError, pass_over
from contract.evaluations import is_verdict, read_decision, read_evaluation
from contract.layout import evaluations
from contract.registry import Registry
from contract.stores.store import Storage


@dataclass
class Past:
    """One day: the moment at which it is judged, the version that was judged, else live, and what the gate said (None: nothing).

    `evaluation` is what the decision was made of; of a day without one it has the window that there would have been.
    """

    day: str
    as_of: str
    version: str | None
    evaluation: Mapping[str, Any]
    evaluation_id: str | None = None
    decision: Mapping[str, Any] | None = None
    counts: Mapping[str, str] = field(default_factory=dict)  # of the decision: day -> name of its counts
    answering: Sequence[str] = ()  # the version that was live, then its formats


def list_days(first: str, last: str) -> list[str]:
    """All days of a range, both ends included; UsageError when these are the wrong way round."""
    if first > last:
        raise UsageError(f"--from {first} --to {last}: expected the first day not to be after the last. Swap them.")
    start = date.fromisoformat(first)
    return [(start + timedelta(days=n)).isoformat() for n in range((date.fromisoformat(last) - start).days + 1)]


def look_back(storage: Storage, model: str, days: list[str], predicted: list[str], window: int) -> list[Past]:
    """Looks up each of the days. `predicted` are all prediction days, `window` how many of them an evaluation takes."""
    decided = _find_decisions(storage, model, days)
    history = Registry(storage, model).history()
    found = (decided.get(day) or _imagine(model, day, history, predicted, window) for day in days)
    return [replace(past, answering=list_answering(_find_state(history, past.as_of))) for past in found]


def _find_state(history: Sequence[HistoryEntry], as_of: str) -> State | None:
    """The state at a moment; of logs that were brought, before the first record, what was live first."""
    return next((entry.state for entry in reversed(history) if entry.at <= as_of), history[0].state if history else None)


def _find_decisions(storage: Storage, model: str, days: list[str]) -> dict[str, Past]:
    """The last verdict of each day that has one, by the day of its `as_of`."""
    found: dict[str, Past] = {}
    first, last = (day.replace("-", "") for day in (days[0], days[-1]))
    for name in sorted(n for n in storage.folders(evaluations(model)) if first <= n[:8] <= last):
        try:
            decision = read_decision(storage, model, name)
            evaluation = read_evaluation(storage, model, name) if decision is not None else None
        except DamagedDocument as error:
            pass_over(error)
            continue
        if decision is None or evaluation is None or not is_verdict(evaluation):
            continue
        day = evaluation["as_of"][:10]
        if day not in found or found[day].as_of <= evaluation["as_of"]:
            found[day] = _of_decision(day, decision, evaluation, name)
    return found


def _of_decision(day: str, decision: Mapping[str, Any], evaluation: Evaluation, name: str) -> Past:
    return Past(day, evaluation["as_of"], decision["version"], evaluation, name, decision, evaluation["counts"])


def _imagine(model: str, day: str, history: Sequence[HistoryEntry], predicted: list[str], window: int) -> Past:
    """A day that nobody judged: at its last moment, over the newest prediction days there were."""
    as_of = clock.iso(clock.parse_moment(day))
    state = _find_state(history, as_of)
    live = state.live if state else None
    there = [d for d in predicted if d <= day][-window:]
    span = {"from": there[0], "to": there[-1]} if there else {"from": day, "to": day}
    return Past(day, as_of, live, {"model": model, "role": "live", "as_of": as_of, "window": span, "partial": [], "trend": [],
                                   "newest_day": there[-1] if there else None})
