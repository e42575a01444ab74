"""A canary in the cycle (`promotion.how: canary`): one run starts it, later ones look at it.

Each writes at most one history record, with the run's key in it: killed after that record and before its stage was recorded,
a run that is carried on finds it and does nothing twice.
"""

from typing import Any

from contract.canary import changes
from contract.canary.changes import PROMOTED, STARTED, WITHDRAWN
from contract.documents.history import HistoryEntry
from contract.registry import Registry
from contract.runs import Run
from contract.settings import CanarySettings
from pipeline.canary.drive import describe_end, look
from pipeline.canary.expected import find_expected
from pipeline.canary.labels import count_labels
from pipeline.running.local import Runner

__all__ = ["PROMOTED", "WITHDRAWN", "begin", "carry_on", "is_to_be_continued"]


def begin(run: Run, candidate: str, reason: str) -> dict[str, Any]:
    """Starts the canary of a candidate that passed the promotion gate. PointerMoved, UsageError: another one runs."""
    run.require()
    registry, given = open_registry(run), CanarySettings(**run.plan.settings.get("canary", {}))
    made = changes.start(registry, candidate, given.steps, given.make_bounds(), by="cycle", reason=reason, run=run.key,
                         expected=find_expected(registry, candidate, run.plan.live), live=run.plan.live)
    canary = made.record.state.canary
    assert canary is not None  # a record of its kind has one
    return {"version": candidate, "seq": made.record.seq, "salt": canary.salt, "sentence": f"{_capitalise(canary.describe())}."}


def is_to_be_continued(run: Run) -> bool:
    """Whether a canary runs that another run or a person started, or this run ended one before it was killed."""
    registry = open_registry(run)
    if changes.find_record(registry, STARTED, run.key):
        return False
    return changes.find_canary(registry) is not None or changes.find_record(registry, None, run.key) is not None


def carry_on(run: Run, runner: Runner) -> dict[str, Any]:
    """Looks once. `ended`: the kind of the record that ended it, None while it runs."""
    registry = open_registry(run)
    if (done := changes.find_record(registry, None, run.key)) is not None:
        return _describe_record(registry, done)
    canary = changes.find_canary(registry)
    if canary is None:  # another driver ended it a moment ago
        return _describe_record(registry, _find_last_end(registry))
    settings = run.plan.settings
    looked = look(registry, canary, lambda: count_labels(registry, canary, runner, settings), by="cycle", run=run.key,
                  manual=settings["cycle"]["approval"] == "manual", even_if_waiting=True)
    if looked.record is not None:
        return _describe_record(registry, looked.record)
    if looked.moved and (end := changes.find_end(registry, canary.salt)) is not None:
        return _describe_record(registry, end)
    return {"version": canary.version, "ended": None, "seq": None,
            "sentence": f"{_capitalise(canary.describe())}; it goes on: {looked.decision.sentence}."}


def open_registry(run: Run) -> Registry:
    """Opens the registry of a run's model."""
    return Registry(run.storage, run.plan.model)


def _describe_record(registry: Registry, record: HistoryEntry) -> dict[str, Any]:
    before = changes.find_last(registry, before=record.seq)  # as the record found it
    assert before is not None  # it is a record of one
    ended = None if record.state.canary else str(record.change["kind"])
    return {"version": before.version, "ended": ended, "seq": record.seq, "sentence": _capitalise(describe_end(before, record))}


def _find_last_end(registry: Registry) -> HistoryEntry:
    last = changes.find_last(registry)
    end = changes.find_end(registry, last.salt) if last else None
    assert end is not None  # there was one, and none runs
    return end


def _capitalise(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
