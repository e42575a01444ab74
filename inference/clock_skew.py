"""Whether this machine's clock agrees with the store's: ids carry the day of a row, so a wrong clock misfiles rows."""

from __future__ import annotations

import logging
import threading

from contract import clock
from contract.stores.store import Storage
from inference.telemetry import event

MOST_S = 60.0
EVERY_S = 60.0


class StoreClock:
    """Asks the store for its time now and then. The offset of demos and tests has no part in it."""

    def __init__(self, storage: Storage) -> None:
        self.ahead: float | None = None  # seconds that this machine is ahead of the store; None: not known
        self._storage, self._stop = storage, threading.Event()
        self._thread = threading.Thread(target=self._work, name="store clock", daemon=True)

    def start(self) -> None:
        """Begins to ask; the first answer comes when the store gives it."""
        self._thread.start()

    def stop(self) -> None:
        """Asks no more. A store that hangs is not waited for."""
        self._stop.set()

    def wrong(self) -> str | None:
        """Why requests should not be answered here; None while the clocks agree, or nobody knows."""
        if self.ahead is None or abs(self.ahead) <= MOST_S:
            return None
        return (f"this machine's clock is {abs(self.ahead):.0f} s {'ahead of' if self.ahead > 0 else 'behind'} the "
                f"store's; expected at most {MOST_S:.0f} s. Set it (NTP).")

    def check(self) -> None:
        """Asks once. A store that is out of reach leaves what was known."""
        before = clock.machine()
        try:
            theirs = self._storage.now()
        except Exception as error:  # whatever the store does, this thread lives on
            event("store clock unknown", logging.WARNING, error=f"{type(error).__name__}: {error}")
            return
        self.ahead = round((before + clock.machine()) / 2 - theirs, 1)
        if wrong := self.wrong():
            event("clocks differ", logging.ERROR, reason=wrong)

    def _work(self) -> None:
        self.check()
        while not self._stop.wait(EVERY_S):
            self.check()
