"""One model's canary at this replica: which predictions it answers, what was counted of them, and when this replica stops it.

The event loop asks and counts; the thread that follows the history takes over what it says, writes the counts, and tries to
withdraw a canary that this replica has stopped (docs/design.md#a-canary).
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contract import clock, layout
from contract.canary import changes
from contract.canary.documents import NOTHING, Canary, ReplicaCounts, StepCounts
from contract.errors import DamagedDocument, NotFound, PointerMoved
from contract.registry import Registry
from contract.samples import is_asked
from inference.live.loading import RefusedVersion, describe_error
from inference.telemetry import Metrics, log_event
from metrics.canary.decide import judge_replica

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

TRY_AGAIN_S = 60.0  # a store, or rights, that refused a record may take the next


@dataclass
class Running:
    """A canary as this replica runs it. `predictor`: None until it is loaded."""

    canary: Canary
    counts: dict[int, StepCounts] = field(default_factory=dict)
    stopped: str | None = None
    predictor: Predictor | None = None
    written: tuple[dict[int, StepCounts], str | None] | None = None
    tried_at: float | None = None

    @property
    def whole(self) -> StepCounts:
        """The counts of all steps together."""
        return sum(self.counts.values(), NOTHING)


@dataclass(frozen=True)
class Chosen:
    """What answers a prediction that is the canary's: the predictor, and under which step of which canary it is counted."""

    running: Running
    canary: Canary
    predictor: Predictor


class CanaryRoute:
    """Routes and counts for one model. `follow` and `write` block, one thread at a time; the others belong to the event loop."""

    def __init__(self, registry: Registry, replica: str, metrics: Metrics) -> None:
        """`replica`: what names this replica's counts, the same after a restart."""
        self._registry, self._replica, self._metrics = registry, replica, metrics
        self._running: Running | None = None
        self._lock = threading.Lock()

    # -- on the event loop ------------------------------------------------------------------------------------------

    def choose(self, prediction_id: str, live: str) -> Chosen | None:
        """Says whether a prediction is the canary's while version `live` answers here; None: it is the live version's."""
        running = self._running
        if running is None or running.stopped or running.predictor is None or running.canary.live != live:
            return None
        canary = running.canary
        if not is_asked(canary.salt, prediction_id, canary.share):
            return None
        return Chosen(running, canary, running.predictor)

    def count_answer(self, chosen: Chosen, failed: bool) -> None:
        """Counts an answer of the canary, or that the live version had to answer instead."""
        outcome = "error" if failed else "answered"
        self._metrics.canary_answers.labels(self._registry.model, chosen.canary.version, outcome).inc()
        self._count(chosen, StepCounts(answers=1, errors=int(failed)), failed)

    def count_comparison(self, chosen: Chosen, differs: bool, slower: bool) -> None:
        """Counts an answer that the live version computed as well."""
        self._count(chosen, StepCounts(compared=1, differ=int(differs), slower=int(slower)), slower)

    def _count(self, chosen: Chosen, more: StepCounts, speaks_against: bool) -> None:
        running, step = chosen.running, chosen.canary.step
        with self._lock:
            running.counts = {**running.counts, step: running.counts.get(step, NOTHING) + more}
        if speaks_against and not running.stopped and (why := judge_replica(running.canary.bounds, running.whole)):
            self._stop(running, why)

    def _stop(self, running: Running, why: str) -> None:
        running.stopped = why
        log_event("canary stopped here", logging.ERROR, model=self._registry.model, version=running.canary.version, reason=why)

    # -- while following --------------------------------------------------------------------------------------------

    def follow(self, canary: Canary | None, predictor: Predictor | None, refused: RefusedVersion | None) -> None:
        """Takes over what the history says; writes what was counted. Blocks; raises whatever the store does."""
        before = self._running
        if before is not None and (canary is None or canary.salt != before.canary.salt):
            self._write(before)
            self._running = None
            log_event("canary is over", model=self._registry.model, version=before.canary.version)
        if canary is None:
            self._metrics.canary_share.labels(self._registry.model).set(0)
            return
        running = self._running or self._begin(canary)
        running.canary = canary
        running.predictor = predictor if predictor is not None and predictor.card.version == canary.version else None
        if refused is not None and refused.for_good and refused.version == canary.version and not running.stopped:
            self._stop(running, f"this replica cannot load it: {refused.reason}")
        self._running = running
        self._metrics.canary_share.labels(self._registry.model).set(0 if running.stopped else canary.share)
        self._write(running)
        if running.stopped:
            self._withdraw(running, running.stopped)

    def write(self) -> None:
        """Writes what was counted since the last look: at the end, when nobody counts any more."""
        if self._running is not None:
            self._write(self._running)

    def _begin(self, canary: Canary) -> Running:
        key = layout.canary_counts(self._registry.model, canary.salt, self._replica)
        try:
            kept = ReplicaCounts.load(self._registry.storage, key)
        except (NotFound, DamagedDocument):
            kept = None
        log_event("canary begins here", model=self._registry.model, version=canary.version, share=canary.share)
        return Running(canary, dict(kept.steps), kept.stopped) if kept else Running(canary)

    def _write(self, running: Running) -> None:
        with self._lock:
            now = (running.counts, running.stopped)
        if now == running.written:
            return
        canary, model = running.canary, self._registry.model
        document = ReplicaCounts(model=model, salt=canary.salt, version=canary.version, replica=self._replica,
                                 at=clock.iso(clock.now()), steps=now[0], stopped=now[1])
        self._registry.storage.put(layout.canary_counts(model, canary.salt, self._replica), document.to_bytes())
        running.written = now

    def _withdraw(self, running: Running, why: str) -> None:
        if running.tried_at is not None and clock.monotonic() - running.tried_at < TRY_AGAIN_S:
            return
        running.tried_at = clock.monotonic()
        try:
            changes.withdraw(self._registry, running.canary, by=f"replica {self._replica}", reason=why)
        except PointerMoved:  # somebody was first
            return
        except Exception as error:  # no right to, or no store: whoever drives the canary reads what this replica wrote
            log_event("canary not withdrawn", logging.WARNING, model=self._registry.model, error=describe_error(error))

    def describe(self) -> dict[str, Any] | None:
        """What readiness and /v1/models say of it; None while none runs."""
        running = self._running
        if running is None:
            return None
        canary, whole = running.canary, running.whole
        return {"version": canary.version, "share": canary.share, "step": canary.step + 1, "steps": len(canary.steps),
                "loaded": running.predictor is not None, "stopped": running.stopped, "answers": whole.answers,
                "errors": whole.errors}
