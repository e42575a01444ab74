"""Whether this machine's clock agrees with the store's: ids carry the day of a row, so a wrong clock misfiles rows."""

from __future__ import annotations

import logging

from contract import clock
from contract.stores.store import Storage
from inference.live.repeating import Repeater
from inference.telemetry import log_event

MOST_S = 60.0
EVERY_S = 60.0


class ClockSkew:
    """Compares this machine's clock with the store's, once a minute.

    The offset of demos and tests has no part in it.
    """

    def __init__(self, storage: Storage) -> None:
        self.seconds_ahead: float | None = None  # seconds that this machine is ahead of the store; None: not known
        self._storage = storage
        self._repeater = Repeater("store clock", EVERY_S, self.check, at_once=True)

    def start(self) -> None:
        """Begins to ask; the first answer comes when the store gives it."""
        self._repeater.start()

    def stop(self) -> None:
        """Ends the comparisons. A store that hangs is not waited for."""
        self._repeater.end()

    def explain(self) -> str | None:
        """Says why requests should not be answered here.

        None while the clocks agree to MOST_S, or the skew is not known.
        """
        if self.seconds_ahead is None or abs(self.seconds_ahead) <= MOST_S:
            return None
        side = "ahead of" if self.seconds_ahead > 0 else "behind"
        return (f"this machine's clock is {abs(self.seconds_ahead):.0f} s {side} the store's; "
                f"expected at most {MOST_S:.0f} s. Set it (NTP).")

    def check(self) -> None:
        """Compares once. A store that is out of reach leaves what was known."""
        before = clock.machine()
        try:
            store_time = self._storage.now()
        except Exception as error:  # whatever the store does, this thread lives on
            log_event("store clock unknown", logging.WARNING, error=f"{type(error).__name__}: {error}")
            return
        self.seconds_ahead = round((before + clock.machine()) / 2 - store_time, 1)
        if reason := self.explain():
            log_event("clocks differ", logging.ERROR, reason=reason)
