"""Batches for the network: requests that wait together are computed together, on one version each.

An item brings the predictor that prepared it, and a batch holds items of one predictor and one shape. So a version
that goes live is swapped in between batches, and no answer mixes two versions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from contract import clock
from inference.telemetry import Metrics


class Network(Protocol):
    """What a batch needs of a predictor (inference.model.predictor.Predictor)."""

    def stack(self, rows: list[Any]) -> Any:
        """One batch of prepared images of one shape."""

    def probabilities(self, batch: Any) -> Any:
        """One row of probabilities per image."""


@dataclass
class Item:
    """A prepared image that waits for its row."""

    predictor: Network
    prepared: Any
    row: asyncio.Future
    since: float = field(default_factory=clock.monotonic)

    @property
    def kind(self) -> tuple[int, tuple[int, ...]]:
        """Items of one kind may share a batch."""
        return id(self.predictor), tuple(self.prepared.shape)


class Batcher:
    """Collects up to `max_batch` items: those that wait and, for at most `max_delay` seconds, those that are coming. Lives on
    one event loop. `lanes` batches are computed side by side, each in a thread; `share(alone)` is called there before each."""

    def __init__(self, max_batch: int, max_delay: float, metrics: Metrics, lanes: int = 1,
                 share: Callable[[bool], None] = lambda alone: None) -> None:
        self.max_batch, self.max_delay, self.metrics, self.lanes = max_batch, max_delay, metrics, lanes
        self._share = share
        self._waiting: deque[Item] = deque()
        self._arrived = asyncio.Event()  # or a lane is free
        self._compute = ThreadPoolExecutor(lanes, "compute")
        self._computing: set[asyncio.Task] = set()
        self._task: asyncio.Task | None = None
        self._coming, self._closing = 0, False

    def start(self) -> None:
        """Begins to compute."""
        self._task = asyncio.create_task(self._run())

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Says that an item is being prepared: a batch waits for it. Nobody waits where nobody else asks."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            self._arrived.set()

    async def submit(self, predictor: Network, prepared: Any) -> Any:
        """The row of probabilities of a prepared image. Cancelled, it is left out of its batch."""
        item = Item(predictor, prepared, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        self._arrived.set()
        return await item.row

    async def close(self) -> None:
        """Computes what waits, then ends."""
        self._closing = True
        self._arrived.set()
        if self._task:
            await self._task
        self._compute.shutdown()

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting or len(self._computing) == self.lanes:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._gather()
            if batch := self._take():
                alone = not (self._computing or self._waiting or self._coming)
                task = asyncio.create_task(self._answer(batch, alone))
                self._computing.add(task)
                task.add_done_callback(self._free)
        await asyncio.gather(*self._computing)

    def _free(self, task: asyncio.Task) -> None:
        self._computing.discard(task)
        self._arrived.set()

    async def _gather(self) -> None:
        """Waits for what is coming, but never longer than `max_delay` after the first."""
        until = self._waiting[0].since + self.max_delay
        while (self._coming and len(self._waiting) < self.max_batch and not self._closing
               and (left := until - clock.monotonic()) > 0):
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                return

    def _take(self) -> list[Item]:
        """The first item and those of its kind, in order; the others keep their places."""
        alive = [item for item in self._waiting if not item.row.done()]
        batch = [item for item in alive if item.kind == alive[0].kind][: self.max_batch]
        taken = set(map(id, batch))
        self._waiting = deque(item for item in alive if id(item) not in taken)
        return batch

    async def _answer(self, batch: list[Item], alone: bool) -> None:
        started = clock.monotonic()
        predictor = batch[0].predictor
        try:
            rows = await asyncio.get_running_loop().run_in_executor(
                self._compute, self._rows, predictor, [item.prepared for item in batch], alone)
        except Exception as error:  # every waiting request must hear of it, and the next batch be tried
            for item in batch:
                if not item.row.done():
                    item.row.set_exception(error)
            return
        self.metrics.batch.observe(len(batch))
        self.metrics.seconds.labels("compute").observe(clock.monotonic() - started)
        for item, row in zip(batch, rows, strict=True):
            self.metrics.seconds.labels("wait").observe(started - item.since)
            if not item.row.done():
                item.row.set_result(row)

    def _rows(self, predictor: Network, prepared: list[Any], alone: bool) -> Any:
        self._share(alone)
        return predictor.probabilities(predictor.stack(prepared))
