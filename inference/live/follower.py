"""Follows the live versions of all models, and what computes beside them, each in a thread of its own: one that hangs or fails
holds up no other."""

import logging
import threading
from collections.abc import Callable

from contract import clock
from inference.live.loading import describe_error
from inference.live.model import LiveModel
from inference.telemetry import log_event

# A version that is being loaded is waited for at the end, a store that hangs is not.
STOP_S = 5.0


class Watcher:
    """A thread that does something every `seconds`, whatever it raises, until it is told to end."""

    def __init__(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        self._name, self._seconds, self._do = name, seconds, work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Tells the thread to end; `join` waits for it."""
        self._stop.set()

    def join(self, until: float) -> None:
        """Waits until a moment of clock.monotonic, at the most."""
        self._thread.join(max(until - clock.monotonic(), 0))

    def _work(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._do()
            except BaseException as error:  # this thread is all that brings the next version
                log_event("not followed", logging.ERROR, what=self._name, error=describe_error(error))


class Follower:
    """The threads that follow models; `add` and `remove` while it runs."""

    def __init__(self, poll_seconds: float, followed: Callable[[], None] = lambda: None) -> None:
        """`followed` is called after each look at a model, in its thread."""
        self._poll_seconds, self._followed = poll_seconds, followed
        self._watchers: dict[str, list[Watcher]] = {}

    def add(self, live: LiveModel) -> None:
        """Begins to follow a model."""

        def follow(look: Callable[[], None]) -> Callable[[], None]:
            def work() -> None:
                look()
                self._followed()

            return work

        self._watchers[live.model] = [Watcher(f"live {live.model}", self._poll_seconds, follow(live.follow_live)),
                                      Watcher(f"beside {live.model}", self._poll_seconds, follow(live.follow_beside))]

    def watch(self, name: str, work: Callable[[], None]) -> None:
        """Does something else as often, in a thread of its own."""
        self._watchers[f" {name}"] = [Watcher(name, self._poll_seconds, work)]

    def remove(self, model: str) -> None:
        """Follows a model no longer."""
        for watcher in self._watchers.pop(model):
            watcher.end()

    def stop(self) -> None:
        """Ends the threads; a version that is being loaded is waited for, for STOP_S at most."""
        watchers, until = [one for of in list(self._watchers.values()) for one in of], clock.monotonic() + STOP_S
        for watcher in watchers:
            watcher.end()
        for watcher in watchers:
            watcher.join(until)
