"""Who trains which trial: attempt 1 of a trial is created exclusively, the next one when the worker of the last is dead.

A worker of this machine is looked up; of another one the beat tells, which it puts while it trains. A worker of this very
process that has ended is dead too: a process may have one after the other.
"""

import re
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from contract import clock, jsonio, layout
from contract.errors import NotFound
from contract.run_owner import has_ended, me
from contract.runs import Timing
from contract.storage import read_json
from contract.stores.store import Storage, create_if_absent
from contract.tuning.documents import TrialClaim

_WORKING: set[str] = set()  # workers of this process


@dataclass(frozen=True)
class Limits:
    """What a command asks of a search: trials and seconds of all workers together, beats of workers, and the settings of
    train: that a trial has because of where it runs (device, threads, cache_mib)."""

    trials: int
    seconds: float | None = None
    here: dict[str, Any] = field(default_factory=dict)
    timing: Timing = Timing()


@dataclass(frozen=True, order=True)
class Attempt:
    """Attempt `number` (from 1) to train trial `trial`."""

    trial: int
    number: int

    @property
    def name(self) -> str:
        """What its documents are called."""
        return f"{self.trial:04d}-{self.number}"


class Claims:
    """The claims of one search, as worker `worker` sees and makes them; a context, in which the worker counts as alive."""

    def __init__(self, storage: Storage, model: str, study: str, worker: str, timing: Timing) -> None:
        self.storage, self.model, self.study, self.worker, self.timing = storage, model, study, worker, timing
        self._seen: dict[Attempt, tuple[float, float]] = {}  # beat, and when it was first seen, by our own clock

    def __enter__(self) -> "Claims":
        _WORKING.add(self.worker)
        return self

    def __exit__(self, *_: object) -> None:
        _WORKING.discard(self.worker)

    def take(self, trials: Collection[int], finished: Collection[int], given_up: Collection[Attempt]) -> Attempt | None:
        """Claims the first trial of `trials` that is neither finished nor in the hands of a living worker; None: there is none.

        `given_up`: attempts whose worker said that it ended them.
        """
        newest = self.list_newest()
        for trial in (trial for trial in trials if trial not in finished):
            last = newest.get(trial)
            if last is not None and last not in given_up and not self.is_dead(last):
                continue
            attempt = Attempt(trial, last.number + 1 if last else 1)
            if self._create(attempt):
                return attempt
        return None

    def wait_for(self, trial: int) -> Attempt | None:
        """Claims a trial that somebody may have had before; None: its worker lives, since its beat goes on.

        It waits until that can be known: of a worker of another machine as long as a beat stands still that counts as dead.
        """
        seen: tuple[Attempt, float] | None = None
        while (attempt := self.take([trial], (), ())) is None:
            last = self.list_newest()[trial]
            found = (last, self.read_beat(last))
            if seen not in (None, found):
                return None
            if seen is None:
                print(f"search {self.study}: waiting to see whether another process is at work", file=sys.stderr, flush=True)
            seen = found
            time.sleep(self.timing.poll)
        return attempt

    def list_newest(self) -> dict[int, Attempt]:
        """Returns the newest attempt of every trial that was begun."""
        folder = layout.tuning_trials(self.model, self.study, "claims")
        names = (layout.document_name(entry.key) for entry in self.storage.list(folder))
        attempts = sorted(Attempt(int(m[1]), int(m[2])) for name in names if (m := re.fullmatch(r"(\d+)-(\d+)", name)))
        return {attempt.trial: attempt for attempt in attempts}

    def is_dead(self, attempt: Attempt) -> bool:
        """Whether the worker of an attempt certainly has ended, or its beat has stood still for too long."""
        claim = TrialClaim.load(self.storage, self._key("claims", attempt))
        if has_ended(claim):
            return True
        mine = me()
        if (claim.host, claim.pid, claim.process_started) == (mine.host, mine.pid, mine.process_started):
            return claim.worker not in _WORKING
        beat, now = self.read_beat(attempt), clock.monotonic()
        if self._seen.get(attempt, (None, 0))[0] != beat:
            self._seen[attempt] = beat, now
        return now - self._seen[attempt][1] >= self.timing.takeover

    def read_beat(self, attempt: Attempt) -> float:
        """Returns the seconds that an attempt has taken so far, by its last beat; 0 before the first."""
        try:
            return float(read_json(self.storage, self._key("beats", attempt))["seconds"])
        except NotFound:
            return 0.0

    @contextmanager
    def keep_beating(self, attempt: Attempt) -> Iterator[None]:
        """Puts the beat of an attempt from a thread while the block runs."""
        stop, began = threading.Event(), clock.monotonic()

        def beat() -> None:
            while not stop.wait(self.timing.beat):
                with suppress(Exception):  # a store that is away for a moment; when it stays away, others take over
                    self.storage.put(self._key("beats", attempt), jsonio.dumps({"seconds": clock.monotonic() - began}))

        thread = threading.Thread(target=beat, name=f"beat of trial {attempt.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=self.timing.beat)

    def _create(self, attempt: Attempt) -> bool:
        claim = TrialClaim(**me().to_dict(), worker=self.worker)
        return create_if_absent(self.storage, self._key("claims", attempt), claim.to_bytes())

    def _key(self, what: str, attempt: Attempt) -> str:
        return layout.tuning_trials(self.model, self.study, "claims" if what == "claims" else "beats", attempt.name)
