"""Models that sleep are woken once, however many ask for them, in threads that no other work waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from inference.daemon_pool import DaemonPool
from inference.live.model import LiveModel

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

AT_ONCE = 4  # models; each takes the memory of its network while it is loaded


class Waking:
    """Lives on one event loop."""

    def __init__(self, load: Callable[[LiveModel], Predictor | None]) -> None:
        """`load`: Fleet.wake."""
        self._load, self._pool = load, DaemonPool(AT_ONCE, "wake")
        self._waking: dict[LiveModel, asyncio.Future[Predictor | None]] = {}

    async def wake(self, live: LiveModel) -> Predictor | None:
        """Returns what `load` does, and raises what it does. Cancelled, it leaves the others who wait their predictor."""
        if (waking := self._waking.get(live)) is None:
            waking = self._waking[live] = asyncio.wrap_future(self._pool.submit(self._load, live))
            waking.add_done_callback(lambda _: self._waking.pop(live))
        return await asyncio.shield(waking)
