"""Batches for the network: requests that wait together are computed together, on one version each.

An image brings the predictor that prepared it, and a batch holds images of one predictor and one shape. So a version
that goes live is swapped in between batches, and no answer mixes two versions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from contract import clock
from contract.errors import VersionFailed
from inference.daemon_pool import DaemonPool
from inference.telemetry import Metrics

if TYPE_CHECKING:
    from inference.model.predictor import Prepared


class BatchPredictor(Protocol):
    """What a batch needs of a predictor (inference.model.predictor.Predictor)."""

    def stack(self, rows: list[Prepared]) -> Prepared:
        """Makes one batch of prepared images of one shape."""

    def probabilities(self, batch: Prepared) -> np.ndarray:
        """Computes one row of probabilities per image: float32 [n, classes]."""


@dataclass
class PendingImage:
    """A prepared image that waits for its row; `since`: when it came, in seconds of clock.monotonic."""

    predictor: BatchPredictor
    prepared: Prepared
    row: asyncio.Future[np.ndarray]
    since: float = field(default_factory=clock.monotonic)

    @property
    def batch_key(self) -> tuple[int, tuple[int, ...]]:
        """What images must share to be computed in one batch: the predictor and the shape."""
        return id(self.predictor), tuple(self.prepared.shape)


class Batcher:
    """Computes images that wait together as one batch. Lives on one event loop."""

    def __init__(self, max_batch: int, max_delay: float, metrics: Metrics, lanes: int = 1,
                 set_share: Callable[[bool], None] = lambda alone: None, threads: DaemonPool | None = None) -> None:
        """A batch has at most `max_batch` images, and waits at most `max_delay` seconds for images that were announced.

        `lanes` batches are computed side by side, each in a thread. `set_share(alone)` is called in that thread before
        each; `alone`: nothing else is computed or prepared. `threads`: instead of threads of its own.
        """
        self.max_batch, self.max_delay, self.metrics, self.lanes = max_batch, max_delay, metrics, lanes
        self._set_share = set_share
        self._waiting: deque[PendingImage] = deque()
        self._arrived = asyncio.Event()  # or a lane is free
        self._threads = threads or ThreadPoolExecutor(lanes, "compute")
        self._computing: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._announced = 0
        self._closing = False

    def start(self) -> None:
        """Begins to compute."""
        self._task = asyncio.create_task(self._run())

    @property
    def has_waiting(self) -> bool:
        """Whether images wait for a batch. Any thread may ask."""
        return bool(self._waiting)

    @contextmanager
    def announce(self) -> Iterator[None]:
        """Says that an image is being prepared, so that a batch that is collected waits for it."""
        self._announced += 1
        try:
            yield
        finally:
            self._announced -= 1
            self._arrived.set()

    async def submit(self, predictor: BatchPredictor, prepared: Prepared) -> np.ndarray:
        """Returns the row of probabilities [classes] of a prepared image. Cancelled, the image is left out of its batch.

        Raises what the predictor raised for its batch.
        """
        item = PendingImage(predictor, prepared, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        self._arrived.set()
        return await item.row

    async def close(self) -> None:
        """Computes what waits, then ends."""
        self._closing = True
        self._arrived.set()
        if self._task:
            await self._task
        if isinstance(self._threads, ThreadPoolExecutor):
            self._threads.shutdown()

    def abandon(self) -> None:
        """Ends at once; what waits or is computed gets no row."""
        self._closing = True
        if self._task:
            self._task.cancel()

    def is_full(self) -> bool:
        """Says whether images wait, or all lanes compute: whatever is not urgent would hold something up."""
        return bool(self._waiting) or len(self._computing) >= self.lanes

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting or len(self._computing) == self.lanes:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._gather()
            if batch := self._take_batch():
                alone = not (self._computing or self._waiting or self._announced)
                task = asyncio.create_task(self._answer_batch(batch, alone))
                self._computing.add(task)
                task.add_done_callback(self._free_lane)
        await asyncio.gather(*self._computing)

    def _free_lane(self, task: asyncio.Task[None]) -> None:
        self._computing.discard(task)
        self._arrived.set()

    async def _gather(self) -> None:
        """Waits for announced images, but never longer than `max_delay` after the first came."""
        until = self._waiting[0].since + self.max_delay
        while (self._announced and len(self._waiting) < self.max_batch and not self._closing
               and (left := until - clock.monotonic()) > 0):
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                return

    def _take_batch(self) -> list[PendingImage]:
        """Takes the first image and those with its batch key, in order; the others keep their places."""
        alive = [item for item in self._waiting if not item.row.done()]
        batch = [item for item in alive if item.batch_key == alive[0].batch_key][: self.max_batch]
        taken = set(map(id, batch))
        self._waiting = deque(item for item in alive if id(item) not in taken)
        return batch

    async def _answer_batch(self, batch: list[PendingImage], alone: bool) -> None:
        started = clock.monotonic()
        predictor = batch[0].predictor
        try:
            rows = await asyncio.wrap_future(self._threads.submit(
                self._compute_rows, predictor, [item.prepared for item in batch], alone))
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

    def _compute_rows(self, predictor: BatchPredictor, prepared: list[Prepared], alone: bool) -> np.ndarray:
        self._set_share(alone)
        try:
            rows = predictor.probabilities(predictor.stack(prepared))
        except (StopIteration, GeneratorExit, KeyboardInterrupt, SystemExit) as error:
            # A network of the user's own may raise them. The event loop would take the one for its own end, and a future
            # cannot hold the other.
            raise VersionFailed(f"expected probabilities, but the network's code ended with {type(error).__name__}: {error}. "
                                f"Roll back to a version that answers: trueup rollback.") from error
        if len(rows) != len(prepared):
            raise VersionFailed(f"expected probabilities for each of {len(prepared)} images, got {len(rows)} rows. Roll back to "
                                f"a version that answers: trueup rollback.")
        return rows
