"""Models that sleep are woken once, however many ask for them, in threads that no other work waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from inference.auth import Refused
from inference.daemon_pool import DaemonPool
from inference.live.loading import describe_error
from inference.live.model import LiveModel
from inference.telemetry import log_event

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

AT_ONCE = 4  # models; each takes the memory of its network while it is loaded


class Waking:
    """Lives on one event loop."""

    def __init__(self, load: Callable[[LiveModel], Predictor | None]) -> None:
        """`load`: Fleet.wake."""
        self._load, self._pool = load, DaemonPool(AT_ONCE, "wake")
        self._waking: dict[LiveModel, asyncio.Future[Predictor | None]] = {}

    async def wake(self, live: LiveModel) -> Predictor:
        """Returns the predictor of a model that sleeps. Cancelled, it leaves the others who wait theirs. Refused (503)."""
        if (waking := self._waking.get(live)) is None:
            waking = self._waking[live] = asyncio.wrap_future(self._pool.submit(self._try, live))
            waking.add_done_callback(lambda _: self._waking.pop(live))
        if (predictor := await asyncio.shield(waking)) is None:
            raise Refused(503, "not_ready", f"no version of {live.model!r} could be loaded now.", {"Retry-After": "1"})
        return predictor

    def _try(self, live: LiveModel) -> Predictor | None:
        try:
            return self._load(live)
        except BaseException as error:  # code from outside may raise SystemExit, and the event loop would end with it
            log_event("not loaded again", logging.ERROR, model=live.model, error=describe_error(error))
            return None
