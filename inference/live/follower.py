"""Follows the live versions of all models, each in a thread of its own."""

import logging
import threading

from contract import clock
from inference.live.loading import describe_error
from inference.live.model import LiveModel
from inference.telemetry import log_event

# A version that is being loaded is waited for at the end, a store that hangs is not.
STOP_S = 5.0


class Follower:
    """Follows the live versions of all models, each in a thread of its own: one that hangs or fails holds up no other."""

    def __init__(self, models: list[LiveModel], poll_seconds: float) -> None:
        self.models, self.poll_seconds = models, poll_seconds
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(live,), name=f"live {live.model}", daemon=True)
                         for live in models]

    def start(self) -> None:
        """Begins to follow."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads; a version that is being loaded is waited for, for STOP_S at most."""
        self._stop.set()
        until = clock.monotonic() + STOP_S
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(until - clock.monotonic(), 0))

    def _work(self, live: LiveModel) -> None:
        while not self._stop.wait(self.poll_seconds):
            try:
                live.follow()
            except BaseException as error:  # this thread is all that brings the next version
                log_event("live version not followed", logging.ERROR, model=live.model, error=describe_error(error))
