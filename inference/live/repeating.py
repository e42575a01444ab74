"""A thread that does something again and again, whatever it raises."""

import logging
import threading
from collections.abc import Callable

from contract import clock
from inference.live.loading import describe_error
from inference.telemetry import log_event


class Repeater:
    """Does `work` every `seconds`, in a thread of its own, until it is told to end; with `at_once` also at the start."""

    def __init__(self, name: str, seconds: float, work: Callable[[], None], at_once: bool = False) -> None:
        self._name, self._seconds, self._do, self._at_once = name, seconds, work, at_once
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> "Repeater":
        """Begins, and returns itself."""
        self._thread.start()
        return self

    def end(self) -> None:
        """Tells the thread to end; `join` waits for it."""
        self._stop.set()

    def join(self, until: float) -> None:
        """Waits until a moment of clock.monotonic, at the most."""
        self._thread.join(max(until - clock.monotonic(), 0))

    def _work(self) -> None:
        if self._at_once:
            self._try()
        while not self._stop.wait(self._seconds):
            self._try()

    def _try(self) -> None:
        try:
            self._do()
        except BaseException as error:  # nothing else does this work: the next version would never be seen
            log_event("not followed", logging.ERROR, what=self._name, error=describe_error(error))
