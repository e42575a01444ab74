"""The live version of a model, followed: looked up, loaded aside, tried, and swapped in between batches.

A version that cannot be loaded or fails its trial batch is refused: the one that answers stays, and /health/ready and
the metrics say why. After a restart, when none answers yet, the newest one that was live before it and works is taken
instead. A refused version is not loaded again until the history has a new record; a store that is out of reach is asked
again at every poll.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from contract import clock
from contract.accepting.thresholds import Thresholds, read_state
from contract.canary.changes import get_running
from contract.deciding.formats import list_formats
from contract.documents.card import Card
from contract.documents.history import HistoryEntry, State
from contract.errors import NoSuchModel
from contract.registry import Registry, models
from contract.stores.store import Storage
from inference.canary.route import CanaryRoute, Chosen
from inference.live.beside import CANARY, VersionsBeside, find_versions_beside
from inference.live.door import Door
from inference.live.formats import FASTEST, OWN, choose_fastest
from inference.live.loading import (
    OUT_OF_REACH,
    RefusedVersion,
    describe_error,
    load_version,
    refuse_version,
)
from inference.telemetry import Metrics, log_event

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

# A look-up that takes longer is no slow one any more.
SILENT_S = 5.0


class LiveModel:
    """One model. `predictor` is replaced as a whole; whoever took it keeps a version that works."""

    def __init__(self, storage: Storage, model: str, max_batch: int, metrics: Metrics, device: str = "auto",
                 formats: str = OWN, lanes: int = 1, replica: str = "here", door: Door = Door()) -> None:
        """`formats`: own, or fastest: of the live version and of its formats that which is fastest here; `replica`: what names
        this replica among those of the model (contract.canary.documents.ReplicaCounts); `door`: what becomes of pictures."""
        self.model, self.max_batch, self.metrics, self.device = model, max_batch, metrics, device
        self.predictor: Predictor | None = None
        self.asleep: Card | None = None  # of the version that answers, while its network is not in memory
        self.used_at = clock.monotonic()  # when it was last asked
        self.refused: RefusedVersion | None = None
        self.unreachable: str | None = None
        self.damaged: str | None = None
        self.aliases: dict[str, str] = {}  # as the newest record has them
        self.published: bool | None = None  # None: nobody has looked yet
        self.retired = False  # something was live once, and nothing is
        self.thresholds: Thresholds | None = None  # of the newest record; None: nothing is decided
        self._asked_at: float | None = None
        self._newest: HistoryEntry | None = None  # as the last look found it
        self._formats, self._lanes, self._door = formats, lanes, door
        self._answers_for: list[str] = []  # what was live, and its formats, when `predictor` was chosen
        self._registry = Registry(storage, model)
        self._waking = threading.Lock()
        self.beside = VersionsBeside(self._registry, device, max_batch, lanes, door)
        self.canary = CanaryRoute(self._registry, replica, metrics)

    @property
    def version(self) -> str | None:
        """The version that answers; None before the first."""
        return card.version if (card := self.card) else None

    @property
    def card(self) -> Card | None:
        """The card of the version that answers, in memory or not."""
        predictor = self.predictor  # it may be let go between two looks
        return predictor.card if predictor else self.asleep

    def find_live(self, predictor: Predictor) -> str:
        """Finds the live version that a predictor answers for: its own, or the one that it is a format of."""
        answers_for, version = self._answers_for, predictor.card.version
        return answers_for[0] if version in answers_for else version

    def follow_live(self) -> None:
        """Looks the live version up and takes it over if it is another one; a canary begins that `follow_beside` has loaded, and
        one that ended goes. Blocks; never raises for a version."""
        self._asked_at = clock.monotonic()
        try:
            newest = self._find_newest()
            self.published = newest.state.live is not None if newest is not None else self.card is not None
            self.unreachable = None
        except Exception as error:  # whatever the store does, the loaded version goes on answering
            self.unreachable = f"{type(error).__name__}: {error}"
            log_event("live version unknown", logging.WARNING, model=self.model, error=self.unreachable)
            return
        finally:
            self._asked_at = None
        if newest is not None:
            self._take_thresholds(newest)
        self.retired = newest is not None and newest.state.live is None
        if self.retired:
            self._let_go()
        elif newest is not None and newest.state.live is not None and self._is_wanted(newest):
            failure = self._take_over(newest.state.live, newest.seq, self._list_others(newest.state))
            if failure is not None and self.card is None and not isinstance(failure, OUT_OF_REACH):
                self._fall_back(newest)
        if newest is not None:
            self._newest, self.aliases = newest, newest.state.aliases
            self._follow_canary(newest)

    def follow_beside(self) -> None:
        """Loads what computes beside the live version, as `follow_live` last saw it: in a thread of its own, since what hangs
        while it is tried must not keep the next live version away. Blocks; never raises for a version."""
        if (newest := self._newest) is not None:
            self.beside.follow(find_versions_beside(newest.state), newest.seq)

    def _follow_canary(self, newest: HistoryEntry) -> None:
        try:
            self.canary.follow(get_running(newest.state), self.beside.predictors.get(CANARY), self.beside.refused.get(CANARY))
        except Exception as error:  # it is followed at the next look; answers go on as they were
            log_event("canary not followed", logging.WARNING, model=self.model, error=describe_error(error))
        if self.retired:
            self.metrics.canary_share.remove(self.model)

    def choose_canary(self, prediction_id: str, predictor: Predictor) -> Chosen | None:
        """Says whether a prediction is the canary's; None: it is the live version's, whichever of its formats answers here."""
        return self.canary.choose(prediction_id, self.find_live(predictor))

    def write_canary_counts(self) -> None:
        """Writes, at the end, what was counted of a canary since the last look."""
        try:
            self.canary.write()
        except Exception as error:
            log_event("canary's counts are not written", logging.WARNING, model=self.model, error=describe_error(error))

    def sleep(self) -> int:
        """Takes the network out of memory, and returns how many bytes of weights; the next one who asks wakes it.

        What is being computed goes on to its end.
        """
        with self._waking:
            if (predictor := self.predictor) is None:
                return 0
            self.asleep, self.predictor = predictor.card, None
        log_event("unloaded until it is asked", model=self.model, version=predictor.card.version)
        return predictor.card.weights_bytes

    def wake(self) -> Predictor | None:
        """Returns the predictor, loaded again where it slept; None where nothing answers. Blocks; raises what loading raises."""
        with self._waking:
            if self.predictor is None and (card := self.asleep) is not None:
                self.predictor = load_version(self._registry, card.version, self.device, self.max_batch, self._lanes)
                self.asleep = None
                log_event("loaded again", model=self.model, version=card.version)
            return self.predictor

    def _let_go(self) -> None:
        """Nothing is live any more: the model was retired."""
        with self._waking:
            before, self.predictor, self.asleep, self.refused = self.version, None, None, None
            self._answers_for = []
        if before is not None:
            self.metrics.version.remove(self.model)
            log_event("retired", model=self.model, version=before)

    def _take_thresholds(self, newest: HistoryEntry) -> None:
        """Takes over what the newest record accepts. Each answer is decided by its own version, so this waits for none."""
        found = read_state(newest.state)
        if found != self.thresholds:
            self.thresholds = found
            log_event("thresholds taken over", model=self.model, version=found and found.version,
                      classes=len(found.at) if found else 0, history=newest.seq)

    def _find_newest(self) -> HistoryEntry | None:
        """Returns the newest record. Where that is damaged, the newest that can be read, but None once a version answers: an
        earlier record must not replace it."""
        newest, damaged = self._registry.newest_known()
        if damaged != self.damaged and damaged is not None:
            log_event("history is damaged", logging.ERROR, model=self.model, error=damaged,
                      serves=self.version or (newest.state.live if newest else None))
        self.damaged = damaged
        return None if damaged and self.card is not None else newest

    def explain_absence(self) -> str:
        """Says why nothing answers for the model, and what to do."""
        if self.retired:
            return f"{self.model!r} was retired: no version of it is live (trueup model promote makes one live again)"
        return f"no version of {self.model!r} is loaded" if self.published is not False else (
            f"no version of {self.model!r} was published, so nothing can be predicted here: publish one (trueup publish), and it "
            f"is taken over within seconds")

    def count_bytes(self) -> int:
        """Counts the bytes of weights in memory, those beside the live version included; a shadow's process has its own."""
        predictors = [self.predictor, *self.beside.predictors.values()]
        return sum(predictor.card.weights_bytes for predictor in predictors if predictor is not None)

    def explain_damage(self) -> str | None:
        """Says that the newest record of the history cannot be read, without the store's names; None while it can."""
        return (f"the newest record of the history of {self.model!r} cannot be read: version {self.version} may not be the live "
                f"one (the log names the file)") if self.damaged else None

    def describe_format(self) -> dict[str, Any] | None:
        """Describes runtime and number format of what answers, and its speed here (None: plain float32, or not measured)."""
        if (predictor := self.predictor) is None:
            return None
        return {"runtime": predictor.card.runtime, "number_format": predictor.card.number_format,
                "speed": predictor.speed and predictor.speed.to_dict()}

    def explain_slowness(self) -> str | None:
        """Says that float32 would be faster on this machine; None where it is not, or nobody measured."""
        predictor = self.predictor
        speed = predictor.speed if predictor else None
        if predictor is None or speed is None or not speed.is_slower:
            return None
        card = predictor.card
        return (f"version {card.version} of {self.model!r} ({card.number_format}, {card.runtime}) answers {speed.batch} pictures "
                f"in {speed.milliseconds:.0f} ms on this machine, its network in float32 in {speed.float32_milliseconds:.0f} ms: "
                f"make a version of it live that is faster here, or set serve.formats: fastest")

    def explain_silence(self) -> str | None:
        """Says that the live version cannot be looked up, without the store's names; None while it can."""
        asked_at = self._asked_at
        waited = clock.monotonic() - asked_at if asked_at is not None else 0.0
        if waited > SILENT_S:
            return f"the store has not said for {waited:.0f} s which version of {self.model!r} is live"
        kind = self.unreachable.partition(":")[0] if self.unreachable else None
        return f"which version of {self.model!r} is live cannot be looked up ({kind})" if kind else None

    def _is_wanted(self, newest: HistoryEntry) -> bool:
        if self._answers_for == [newest.state.live, *self._list_others(newest.state)]:
            self.refused = None
            return False
        return not (self.refused and self.refused.for_good and self.refused.seq == newest.seq)

    def _list_others(self, state: State) -> list[str]:
        """The versions beside the live one that may answer in its place."""
        return list_formats(state) if self._formats == FASTEST else []

    def _fall_back(self, newest: HistoryEntry) -> None:
        """Takes over the newest version that was live before and works; what was refused stays named."""
        for version in self._list_earlier(newest):
            refused = self.refused
            error = self._take_over(version, newest.seq)
            self.refused = refused
            if error is None:
                log_event("an earlier version answers", logging.ERROR, model=self.model, version=version,
                          instead_of=newest.state.live)
                return

    def _list_earlier(self, newest: HistoryEntry) -> Iterator[str]:
        """Yields the versions that were live before the newest record, newest first, each once."""
        seen = {newest.state.live, *newest.state.deleted}
        try:
            records, damaged = self._registry.history_known()
            for text in damaged:
                log_event("history record passed over", logging.WARNING, model=self.model, error=text)
            for record in reversed(records):
                if record.state.live is not None and record.state.live not in seen:
                    seen.add(record.state.live)
                    yield record.state.live
        except Exception as error:  # the store is away: what was found before is all there is
            log_event("history cannot be read", logging.WARNING, model=self.model, error=describe_error(error))

    def _take_over(self, version: str, seq: int, others: Sequence[str] = ()) -> BaseException | None:
        """Loads a version, tries it and puts it, or the fastest of it and `others`, in place; returns what it raised."""
        before = self.version
        try:
            predictor = load_version(self._registry, version, self.device, self.max_batch, self._lanes)
            predictor = choose_fastest(self._registry, predictor, others, self.device, self.max_batch, self._lanes)
        # A version brought from outside may raise anything, SystemExit while it is imported included; the old one stays.
        # Signals reach the main thread only, so no KeyboardInterrupt here is a person's.
        except BaseException as error:
            self.refused = refuse_version(version, seq, error)
            self.metrics.swaps.labels(self.model, "refused").inc()
            log_event("version refused", logging.ERROR, model=self.model, version=version, stays=before,
                      reason=self.refused.reason)
            return error
        with self._waking:
            self.predictor, self.asleep, self.refused, self._answers_for = predictor, None, None, [version, *others]
        self.metrics.version.labels(self.model).set(int(predictor.card.version))
        self.metrics.swaps.labels(self.model, "taken").inc()
        log_event("now serving", model=self.model, version=predictor.card.version, replaces=before,
                  network=predictor.card.network, weights_sha256=predictor.card.weights_sha256,
                  preprocess_hash=predictor.preprocess_hash, history=seq)
        self._door.warn_of(predictor.card)
        return None


def require_published(storage: Storage, model: str) -> None:
    """Raises NoSuchModel when nothing was ever promoted under this name."""
    newest, _ = Registry(storage, model).newest_known()
    if newest is None or newest.state.live is None:
        raise NoSuchModel(f"model {model!r} was never published under {storage.root}. Models there: "
                          f"{', '.join(models(storage)) or 'none'}. Publish one: trueup publish.")
