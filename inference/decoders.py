"""The threads that prepare pictures. One that is stuck is replaced, and the end of the process waits for none.

Files that would keep a decoder for long are refused before they are decoded (inference/model/work.py), so a stuck one is a
fault of a decoder that nobody knows yet. A thread cannot be killed; a process for each picture could be, and would cost
each of them milliseconds and a copy. So the stuck thread is given up: it uses a core until its picture ends, and another
one takes its place. Its request has had its 504 by then.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from contract import clock
from inference.telemetry import log_event

STUCK_S = 30.0  # many times what the most expensive accepted picture takes
Job = tuple[Future, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Decoders(Executor):
    """Runs functions in a fixed number of daemon threads, each of which calls `begin` first."""

    def __init__(self, threads: int, begin: Callable[[], None], stuck_seconds: float = STUCK_S) -> None:
        self.stuck_seconds = stuck_seconds
        self._begin = begin
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._threads = [_Thread(self._jobs, begin) for _ in range(threads)]

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Queues a call, and replaces threads that have been at one for too long. RuntimeError after `shutdown`."""
        future: Future = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("expected decoders that are at work, these were shut down")
            self._threads = [self._replace(thread) if thread.is_stuck(self.stuck_seconds) else thread
                             for thread in self._threads]
            self._jobs.put((future, fn, args, kwargs))
        return future

    def _replace(self, stuck: _Thread) -> _Thread:
        stuck.given_up = True
        log_event("decoder stuck", logging.ERROR, seconds=round(stuck.measure_busy()), replaced=True)
        return _Thread(self._jobs, self._begin)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Lets the threads end after what is queued, or cancels that; with `wait`, returns once they did."""
        with self._lock:
            self._closed = True
            while cancel_futures and (job := self._take_queued()) is not None:
                job[0].cancel()
            for _ in self._threads:
                self._jobs.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _take_queued(self) -> Job | None:
        try:
            return self._jobs.get_nowait()
        except queue.Empty:
            return None


class _Thread:
    """One thread, and since when it has been at its present call."""

    def __init__(self, jobs: queue.SimpleQueue[Job | None], begin: Callable[[], None]) -> None:
        self.given_up = False
        self._jobs, self._begin = jobs, begin
        self._since: float | None = None
        self._thread = threading.Thread(target=self._work, name="decode", daemon=True)
        self._thread.start()

    def measure_busy(self) -> float:
        """Returns for how many seconds it has been at its call; 0 between two."""
        since = self._since
        return 0.0 if since is None else clock.monotonic() - since

    def is_stuck(self, seconds: float) -> bool:
        """Says whether it has been at its call for longer than that."""
        return self.measure_busy() > seconds

    def join(self) -> None:
        """Waits for its end."""
        self._thread.join()

    def _work(self) -> None:
        self._begin()
        while not self.given_up and (job := self._jobs.get()) is not None:
            self._since = clock.monotonic()
            _run(*job)
            self._since = None
            del job  # with its picture, while the next one is waited for


def _run(future: Future, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Does what concurrent.futures does for a call: a future that was cancelled meanwhile costs nothing."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call(*args, **kwargs))
    except BaseException as error:  # it is the caller's
        future.set_exception(error)
