"""Answers of a canary: computed in a thread of their own, held to a deadline, and compared with the live version's.

    row = await answers.answer(chosen, live_predictor, prepared, stripped, left=8.0)   # None: the live version is to answer

A canary that raises, gives no probabilities of its classes or is too late costs the caller nothing but the deadline.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from contract import clock
from inference.batching import Batcher
from inference.canary.route import CanaryRoute, Chosen
from inference.daemon_pool import DaemonPool
from inference.live.loading import describe_error
from inference.telemetry import Metrics, log_event

if TYPE_CHECKING:
    from inference.model.predictor import Predictor, Prepared

TIME_SHARE = 0.5  # of the time that a request has: the live version has the rest
FAIR_SHARE = 0.8  # of the time that a canary is to have; with less it is not blamed for being late
MOST_COMPARED = 32  # at once: pictures that wait for the live version in the background


class Lane:
    """Where one canary computes: a thread that holds up, should it hang, neither the live version nor the process's end nor
    the canary that comes next."""

    def __init__(self, salt: str, max_batch: int, metrics: Metrics, set_share: Callable[[bool], None]) -> None:
        self.salt, self._threads = salt, DaemonPool(1, "canary")
        self._batcher = Batcher(max_batch, 0.0, metrics, 1, set_share, self._threads)
        self._batcher.start()

    async def prepare(self, predictor: Predictor, stripped: bytes) -> Prepared:
        """Makes the canary's input of a picture."""
        return await asyncio.wrap_future(self._threads.submit(predictor.prepare, stripped))

    async def compute(self, predictor: Predictor, prepared: Prepared) -> tuple[np.ndarray, float]:
        """Returns the row of probabilities, and after how many seconds it came."""
        began = clock.monotonic()
        row = await self._batcher.submit(predictor, prepared)
        return row, clock.monotonic() - began

    def abandon(self) -> None:
        """Ends at once."""
        self._batcher.abandon()


class CanaryAnswers:
    """Computes for the canaries of one model, one after the other. Lives on one event loop."""

    def __init__(self, route: CanaryRoute, live_batcher: Batcher, deadline: float, make_lane: Callable[[str], Lane]) -> None:
        """`deadline`: seconds that a request has; `make_lane`: of a salt."""
        self.route, self._live_batcher, self._deadline, self._make_lane = route, live_batcher, deadline, make_lane
        self._lane: Lane | None = None
        self._comparing: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Ends at once: what waits is answered by the live version."""
        for task in self._comparing:
            task.cancel()
        if self._lane:
            self._lane.abandon()

    async def answer(self, chosen: Chosen, live: Predictor, prepared: Prepared, stripped: bytes,
                     left: float) -> np.ndarray | None:
        """Returns the canary's row of probabilities [its classes], or None after counting an error.

        `prepared`: the picture as `live` gets it; `stripped`: its bytes without metadata; `left`: seconds that the request has.
        """
        predictor, lane = chosen.predictor, self._find_lane(chosen.canary.salt)
        whole = min(chosen.canary.bounds.deadline_seconds, self._deadline * TIME_SHARE)
        given = min(whole, left * TIME_SHARE)
        try:
            async with asyncio.timeout(given):
                same = predictor.steps == live.steps
                mine = prepared if same else await lane.prepare(predictor, stripped)
                row, seconds = await lane.compute(predictor, mine)
            _check_row(row, len(predictor.card.classes))
        except Exception as error:  # whatever its code does, the caller gets an answer
            if isinstance(error, TimeoutError) and given < FAIR_SHARE * whole:
                return None  # a network woke slowly, or a decoder was busy: that says nothing of the canary
            log_event("canary failed", logging.ERROR, version=chosen.canary.version, error=describe_error(error))
            self.route.count_answer(chosen, failed=True)
            return None
        self.route.count_answer(chosen, failed=False)
        if not self._live_batcher.is_full() and len(self._comparing) < MOST_COMPARED:
            task = asyncio.create_task(self._compare(chosen, row, seconds, live, prepared))
            self._comparing.add(task)
            task.add_done_callback(self._comparing.discard)
        return row

    def _find_lane(self, salt: str) -> Lane:
        if self._lane is None or self._lane.salt != salt:
            if self._lane:
                self._lane.abandon()
            self._lane = self._make_lane(salt)
        return self._lane

    async def _compare(self, chosen: Chosen, row: np.ndarray, seconds: float, live: Predictor, prepared: Prepared) -> None:
        """Counts whether the live version says another label of the same picture, and whether it was that much faster."""
        began = clock.monotonic()
        try:
            other = await self._live_batcher.submit(live, prepared)
        except Exception as error:  # the live version's failure says nothing of the canary
            log_event("canary not compared", logging.WARNING, version=chosen.canary.version, error=describe_error(error))
            return
        took = clock.monotonic() - began
        mine, others = (p.card.classes[int(np.argmax(r))] for p, r in ((chosen.predictor, row), (live, other)))
        self.route.count_comparison(chosen, mine != others, seconds > chosen.canary.bounds.latency_ratio * took)


def _check_row(row: np.ndarray, classes: int) -> None:
    if row.shape != (classes,) or not np.isfinite(row).all():
        raise ValueError(f"expected {classes} finite probabilities, got an array of shape {row.shape}")
