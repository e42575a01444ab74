"""Computes each answered picture once more with the version that the history names `shadow`, and logs it as a row of that role.

An answer is offered when it is durable, and knows nothing of what becomes of the offer. What does not fit is shed: pictures when
too many wait, rows while the outbox is more than half full. A row that is lost is missing from a comparison; nobody waits for it.
Labels judge both rows, because both have the same prediction id.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contract import clock
from contract.deciding.names import SHADOW
from contract.errors import TrueupError, VersionFailed
from contract.settings import ServeSettings
from inference.live.model import LiveModel
from inference.model.prediction_row import make_row_beside
from inference.outbox.outbox import Outbox
from inference.outbox.room import OutboxFull
from inference.shadow.process import NoLongerWanted, ShadowProcess, ToLoad
from inference.shadow.waiting import Answered, WaitingPictures
from inference.telemetry import Metrics, log_event

TOGETHER = 8  # pictures in one request to the process
FLUSH_S, FLUSH_ROWS = 1.0, 256  # one commit a second: each commit may delay an answer's own by the time of an fsync
LOOK_S = 0.2
YIELD_S = 0.005
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # after a process that ended, until the next is started
STOP_S = 5.0  # for the process, at the end
TELL_S = 60.0  # so often the log says what was shed
QUEUE, OUTBOX, FAILED = "queue", "outbox", "failed"  # why there is no row


@dataclass
class Failures:
    """How often the process of a version ended one after another, why the last one did, and when the next may start."""

    version: str | None = None
    times: int = 0
    reason: str | None = None
    until: float = 0.0


class Shadow:
    """The shadow of one model: a thread, and while a version is named a process."""

    def __init__(self, live: LiveModel, outbox: Outbox, root: str, serve: ServeSettings, metrics: Metrics,
                 is_busy: Callable[[], bool]) -> None:
        """`is_busy`: whether live pictures wait to be computed; then the shadow waits."""
        self.live, self.outbox, self.root, self.serve, self.metrics = live, outbox, root, serve, metrics
        self.waiting = WaitingPictures()
        self.failures = Failures()
        self.shed = 0
        self._is_busy = is_busy
        self._rows: list[dict[str, Any]] = []
        self._flush_at = 0.0
        self._told, self._told_at = 0, 0.0
        self._process: ShadowProcess | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"shadow {live.model}", daemon=True)

    @property
    def version(self) -> str | None:
        """The version that is to compute; None: no shadow is named, or it was refused."""
        predictor = self.live.beside.predictors.get(SHADOW)
        return predictor.card.version if predictor else None

    def start(self) -> None:
        """Begins to compute what is offered."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the process; what it computed is made durable, what waits is dropped."""
        self._stop.set()
        if not self._thread.is_alive():
            return
        self._thread.join(STOP_S)
        if self._thread.is_alive() and (process := self._process) is not None:
            process.kill()  # it does not read what is being sent to it
            self._thread.join(STOP_S)

    def offer(self, row: dict[str, Any], picture: bytes) -> None:
        """Hears of an answer that is durable: its row, and its picture as it is kept. Never waits, never raises."""
        if self.version is not None and not self.waiting.offer(Answered(row, picture)):
            self._shed(QUEUE, 1)

    def describe(self) -> dict[str, Any] | None:
        """Says for /health/ready which version computes beside; None without a shadow."""
        refused, version = self.live.beside.refused.get(SHADOW), self.version
        if version is None and refused is None:
            return None
        failed = self.failures.reason if self.failures.version == version and self._process is None else None
        return {"version": version, "refused": refused and refused.describe(),
                "computes": self._process is not None, "failed": failed, "waiting": len(self.waiting), "shed": self.shed}

    # -- the thread -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
                self._compute_some()
            except NoLongerWanted:
                self._end_process()
            except VersionFailed as error:
                self._note_failure(str(error))
            except Exception as error:  # this thread is all that computes for the shadow
                self._note_failure(f"{type(error).__name__}: {error}")
            self._flush()
            self._tell()
        self._end_process()
        self._flush(at_once=True)

    def _follow(self) -> None:
        """Starts, replaces or ends the process, as the history wants it."""
        version, running = self.version, self._process
        if running is not None and running.to_load.version != version:
            self._end_process()
        if version is None:
            self.waiting.clear()
        elif self._process is None and not self._has_to_pause(version):
            self._process = self._start(version)

    def _start(self, version: str) -> ShadowProcess:
        from inference.model.predictor import count_threads

        to_load = ToLoad(self.root, self.live.model, version, self.serve.device, min(TOGETHER, self.serve.max_batch),
                         self.serve.log_all_classes, max(count_threads() // 2, 1))
        process = ShadowProcess(to_load, lambda: not self._stop.is_set() and self.version == version)
        log_event("shadow computes", model=self.live.model, version=version, pid=process.pid)
        return process

    def _has_to_pause(self, version: str) -> bool:
        if self.failures.version != version:
            self.failures = Failures(version)
        return clock.monotonic() < self.failures.until

    def _note_failure(self, reason: str) -> None:
        self._end_process()
        times = self.failures.times + 1
        pause = min(PAUSE_S * 2 ** min(times - 1, 10), LONGEST_PAUSE_S)
        self.failures = Failures(self.failures.version, times, reason, clock.monotonic() + pause)
        log_event("shadow failed", logging.ERROR, model=self.live.model, version=self.failures.version, reason=reason,
                  next_in_s=pause)

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _compute_some(self) -> None:
        if self._process is None:
            self._stop.wait(LOOK_S)
            return
        batch = self.waiting.take(min(TOGETHER, self.serve.max_batch), LOOK_S)
        while batch and self._is_busy() and not self._stop.is_set():
            self._stop.wait(YIELD_S)
        if not batch or self._stop.is_set():
            return
        try:
            computed = self._process.compute([one.picture for one in batch])
        except BaseException:
            self._shed(FAILED, len(batch))
            raise
        for one, (top, error) in zip(batch, computed, strict=True):
            self._take_row(one, top, error)

    def _take_row(self, one: Answered, top: list[tuple[str, float]], error: str | None) -> None:
        process = self._process
        assert process is not None  # it has just computed this
        if error is not None:
            self._shed(FAILED, 1)
            if self.failures.reason != error:
                self.failures.reason = error
                log_event("shadow has no answer", logging.WARNING, model=self.live.model, version=process.to_load.version,
                          prediction_id=one.row["prediction_id"], reason=error)
            return
        if not self._rows:
            self._flush_at = clock.monotonic() + FLUSH_S
        self._rows.append(make_row_beside(one.row, top, version=process.to_load.version, role=SHADOW,
                                          weights_sha256=process.weights_sha256, preprocess_hash=process.preprocess_hash))
        self.failures.times = 0

    def _flush(self, at_once: bool = False) -> None:
        """Makes rows durable, some together."""
        due = at_once or len(self._rows) >= FLUSH_ROWS or clock.monotonic() >= self._flush_at
        if not self._rows or not due:
            return
        rows, self._rows = self._rows, []
        try:
            self.outbox.append_beside(rows)
        except (TrueupError, OSError) as error:
            self._shed(OUTBOX, len(rows))
            if not isinstance(error, OutboxFull):
                raise
            return
        self.metrics.beside.labels(self.live.model, rows[0]["model_version"], SHADOW).inc(len(rows))

    def _shed(self, why: str, pictures: int) -> None:
        self.shed += pictures
        self.metrics.shadow_shed.labels(self.live.model, why).inc(pictures)

    def _tell(self) -> None:
        """Says in the log what was shed, once a minute while there is something to say."""
        if self.shed > self._told and clock.monotonic() >= self._told_at:
            log_event("shadow work shed", logging.WARNING, model=self.live.model, pictures=self.shed - self._told)
            self._told, self._told_at = self.shed, clock.monotonic() + TELL_S
