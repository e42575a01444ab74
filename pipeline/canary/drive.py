"""One look at a canary: what replicas counted is read, what follows from it is decided and written.

    looked = look(registry, canary, count=lambda: count_labels(…), by="cycle")

Killed at any point and started again, the next look decides from what lies in the bucket; of two that write, one is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from contract import clock
from contract.canary import changes
from contract.canary.documents import Canary, load_counts, sum_counts
from contract.deciding.changes import Change
from contract.documents.history import HistoryEntry
from contract.errors import PointerMoved
from contract.registry import Registry
from metrics.canary.decide import GO_ON, PROMOTE, STEP, WITHDRAW, Decision, Labelled, Observed, decide

CountLabels = Callable[[], Mapping[str, Labelled | None]]


@dataclass(frozen=True)
class Looked:
    """What a look came to. `record`: what was written; None: nothing was. `moved`: somebody else was first."""

    canary: Canary
    seen: Observed
    decision: Decision
    record: HistoryEntry | None = None
    moved: bool = False


def observe(registry: Registry, canary: Canary) -> Observed:
    """Reads what all replicas counted. DamagedDocument: one document cannot be read, so nothing is decided."""
    documents = load_counts(registry.storage, registry.model, canary.salt)
    age = clock.now() - clock.parse_moment(canary.stepped_at)
    return Observed(sum_counts(documents), age.total_seconds(),
                    [f"replica {d.replica} stopped: {d.stopped}" for d in documents if d.stopped])


def decide_with_labels(canary: Canary, seen: Observed, count: CountLabels, even_if_waiting: bool) -> tuple[Observed, Decision]:
    """Decides; labels are only counted where all else lets the canary go further, or `even_if_waiting`."""
    enough = canary.bounds.labels * len(canary.steps)
    without = decide(canary, replace(seen, canary=Labelled(enough, enough)))
    if without.what == WITHDRAW or (without.what == GO_ON and not even_if_waiting):
        return seen, without
    found = count()
    seen = replace(seen, canary=found["canary"], live=found["live"])
    return seen, decide(canary, seen)


def look(registry: Registry, canary: Canary, count: CountLabels, *, by: str, run: str | None = None, manual: bool = False,
         even_if_waiting: bool = False) -> Looked:
    """Looks once. `manual`: a person makes it live."""
    seen, decision = decide_with_labels(canary, observe(registry, canary), count, even_if_waiting)
    if decision.what == PROMOTE and manual:
        decision = Decision(GO_ON, [f"{decision.sentence}. `trueup model canary promote` makes it live"])
    if decision.what == GO_ON:
        return Looked(canary, seen, decision)
    try:
        return Looked(canary, seen, decision, _write(registry, canary, decision, by, run).record)
    except PointerMoved:
        return Looked(canary, seen, decision, moved=True)


def _write(registry: Registry, canary: Canary, decision: Decision, by: str, run: str | None) -> Change:
    if decision.what == WITHDRAW:
        return changes.withdraw(registry, canary, by=by, reason=decision.sentence, run=run)
    if decision.what == STEP:
        return changes.step(registry, canary, by=by, reason=decision.sentence, run=run)
    return changes.promote(registry, canary, by=by, reason=decision.sentence, run=run)


def describe_end(canary: Canary, record: HistoryEntry) -> str:
    """Says what a record made of a canary."""
    kind, reason = record.change.get("kind"), str(record.change.get("reason", ""))
    if kind == changes.PROMOTED:
        return f"Version {canary.version} is live: {reason}."
    if kind == changes.WITHDRAWN:
        return f"Version {canary.version} was withdrawn by {record.change.get('by')}: {reason}."
    if kind == changes.STEP and record.state.canary:
        return f"{record.state.canary.describe()}: {reason}."
    if record.state.live is None:
        return f"The model was retired by {record.change.get('by')}, which ended the canary: {reason}."
    return f"Version {record.state.live} was made live by {record.change.get('by')}, which ended the canary: {reason}."
