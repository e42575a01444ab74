"""What happened to a model and may be told: read from the documents in the bucket, so that a crash loses none.

    find_events(storage, "digits", since, max_age_days=3.0)     # oldest first

The same documents give the same events in every process: whoever sends one gives it the same key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contract import clock, layout
from contract.days import prediction_days
from contract.deciding.formats import list_answering
from contract.documents.history import HistoryEntry, State
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.evaluations import (
    find_verdict,
    is_stale,
    is_verdict,
    order_newest_first,
    read_decision,
    read_evaluation,
    say_stale,
)
from contract.registry import Registry
from contract.runs import AWAITING, Runs
from contract.storage import find_root_id
from contract.stores.store import Storage
from metrics.judging.verdicts import STALE

LOOK_BACK = 200  # evaluations of the last days, and runs, that are read
LOOK_BEFORE = 20  # older evaluations that are searched for the verdict before
ENDS = {"refused": "refused", AWAITING: "approval", "failed": "failed", "pointer moved": "failed", "closed": "failed"}


@dataclass(frozen=True)
class Event:
    """One event: of which model and kind (contract.sections.notify.EVENTS), and `subject`, which document it is about."""

    model: str
    kind: str
    subject: str
    at: str
    sentence: str
    facts: dict[str, Any]

    def make_key(self, storage: Storage) -> str:
        """Makes the idempotency key: the same for the same event of the same root, whoever sends it."""
        root = find_root_id(storage) or storage.root
        return hashlib.sha256("\n".join((root, self.model, self.kind, self.subject)).encode()).hexdigest()[:32]


def find_events(storage: Storage, model: str, since: datetime, max_age_days: float | None) -> list[Event]:
    """Finds what happened since then, oldest first; a log or verdict that is stale now is always among it."""
    records, damaged = Registry(storage, model).history_known()
    for text in damaged:
        pass_over(DamagedDocument(text))
    recent = [*_find_verdicts(storage, model, records, since), *_find_published(model, records),
              *_find_ends(storage, model, since)]
    begin = clock.iso(since)
    found = [event for event in recent if event.at >= begin]
    if records and not records[-1].state.live:  # retired: nobody answers, and nobody looks at the old verdict
        max_age_days = None
    live = list_answering(records[-1].state) if records else []
    return sorted([*found, *_find_stale(storage, model, live, max_age_days)], key=lambda event: (event.at, event.kind))


def _find_verdicts(storage: Storage, model: str, records: list[HistoryEntry], since: datetime) -> Iterator[Event]:
    """Yields the changes, newest first. The verdict before the first one that is looked at counts as none."""
    later: dict[str, Any] | None = None
    names = sorted(storage.folders(layout.evaluations(model)), reverse=True)
    recent = [name for name in names if name[:8] >= f"{since:%Y%m%d}"]
    looked_at = recent[:LOOK_BACK] + names[len(recent):][:LOOK_BEFORE]
    for decision in _read_verdicts(storage, model, records, looked_at):
        if later is not None and later["verdict"] != decision["verdict"]:
            yield _make_verdict(model, later, decision["verdict"])
        if later is not None and clock.parse_moment(decision["as_of"]) < since:
            return
        later = decision
    if later is not None and len(recent) <= LOOK_BACK:
        yield _make_verdict(model, later, None)


def _read_verdicts(storage: Storage, model: str, records: list[HistoryEntry], names: list[str]) -> Iterator[dict[str, Any]]:
    """Yields the decisions that were verdicts on the version that was live when they were made, newest first."""
    for name in order_newest_first(storage, model, names):
        try:
            decision = read_decision(storage, model, name)
            if decision is None or "as_of" not in decision or not _was_live(records, decision):
                continue
            if is_verdict(read_evaluation(storage, model, name)):
                yield decision | {"evaluation": name}
        except (DamagedDocument, NotFound) as error:
            pass_over(error)


def _was_live(records: list[HistoryEntry], decision: dict[str, Any]) -> bool:
    """Whether the judged version was live then; that of a model without a registry always counts."""
    if not records:
        return True
    moments = (decision["as_of"], decision.get("decided_at") or decision["as_of"])
    return any(not (live := _list_live(records, moment)) or decision["version"] in live for moment in moments)


def _list_live(records: list[HistoryEntry], moment: str) -> list[str]:
    """The live version at a moment, and its formats that may have answered in its place."""
    state = next((r.state for r in reversed(records) if r.at <= moment), State())
    return list_answering(state)


def _make_verdict(model: str, decision: dict[str, Any], before: str | None) -> Event:
    facts = {"verdict": decision["verdict"], "before": before, "version": decision["version"],
             "evaluation": decision["evaluation"], "reasons": decision.get("reasons", [])}
    return Event(model, "verdict", decision["evaluation"], decision.get("decided_at") or decision["as_of"],
                 f"{model}: the verdict is {decision['verdict']!r}{f', it was {before!r}' if before else ''}. "
                 f"{decision['sentence']}", facts)


def _find_published(model: str, records: list[HistoryEntry]) -> Iterator[Event]:
    before = None
    for record in records:
        live, replaced = record.state.live, before
        before = live
        if live is not None and live != replaced:
            facts = {"version": live, "replaces": replaced, "by": record.change.get("by"), "reason": record.change.get("reason"),
                     "kind": record.change["kind"], "history": record.seq}
            said = f" in place of version {replaced}" if replaced else ""
            yield Event(model, "published", str(record.seq), record.at, f"{model}: version {live} is live{said}.", facts)


def _find_ends(storage: Storage, model: str, since: datetime) -> Iterator[Event]:
    runs = Runs(storage, model)
    newest = runs.newest()
    for n in range(newest.n if newest else 0, max((newest.n if newest else 0) - LOOK_BACK, 0), -1):
        try:
            run = runs.get(n)
            end = run.end()
        except (DamagedDocument, NotFound) as error:
            pass_over(error)
            continue
        if clock.parse_moment(run.plan.as_of) < since and end is not None and clock.parse_moment(end.at) < since:
            return
        if end is not None and (kind := ENDS.get(end.status)):
            yield Event(model, kind, f"run-{n}", end.at, f"{model}: run {run.key} ended: {end.status}. {end.sentence}",
                        {"run": run.key, "status": end.status, "exit_code": end.exit_code, "window": run.plan.window})


def _find_stale(storage: Storage, model: str, live: list[str], max_age_days: float | None) -> Iterator[Event]:
    """Yields what is too old now: the log (once for each newest day of it), and the verdict (once for each)."""
    if max_age_days is None:
        return
    decision = find_verdict(storage, model, live, [])
    day = _find_last_day(storage, decision)
    if day is not None and (end := _end_of(day) + timedelta(days=max_age_days)) < clock.now():
        yield Event(model, "stale", f"log-{day}", clock.iso(end), f"{model}: the newest prediction in the bucket is of {day}. "
                    f"See whether it is served and its log shipped.", {"newest_day": day, "max_age_days": max_age_days})
    if decision is not None and is_stale(decision, max_age_days):
        due = clock.parse_moment(decision["as_of"]) + timedelta(days=max_age_days)
        yield Event(model, "stale", f"verdict-{decision['evaluation']}", clock.iso(due), f"{model}: {say_stale(decision)} See "
                    f"whether the cycle is started.", {"evaluation": decision["evaluation"], "as_of": decision["as_of"]})


def _find_last_day(storage: Storage, decision: dict[str, Any] | None) -> str | None:
    """The day with which the model's log ends: what the freshness gate found, else the newest day of the root."""
    for gate in decision["gates"] if decision else ():
        if gate.get("gate") == "freshness" and gate.get("reason") == STALE and gate.get("newest_day"):
            found: str = gate["newest_day"]
            return found
    days = prediction_days(storage)
    return days[-1] if days else None


def _end_of(day: str) -> datetime:
    return clock.parse_moment(f"{day}T00:00:00Z") + timedelta(days=1)
