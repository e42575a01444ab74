"""Threads for calls that may hang: those of the store. Neither a request nor the end of the process waits for them.

    pool = DaemonPool(8, "pages")
    found = await run_within(pool, 10.0, storage.read, key)     # TimeoutError after 10 s
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
Result = TypeVar("Result")
IDLE_S = 10.0


class DaemonPool:
    """Up to `threads` threads, which end when they have nothing to do.

    Not a ThreadPoolExecutor: Python waits for the threads of those before it exits, however long a store hangs.
    """

    def __init__(self, threads: int, name: str) -> None:
        self.threads, self.name = threads, name
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._lock, self._running = threading.Lock(), 0

    def submit(self, function: Callable[P, Result], *arguments: P.args, **options: P.kwargs) -> Future[Result]:
        """Queues a call in the caller's context."""
        future: Future[Result] = Future()
        context = copy_context()
        with self._lock:
            self._calls.put((future, lambda: context.run(function, *arguments, **options)))
            if self._running < self.threads:
                self._running += 1
                threading.Thread(target=self._work, name=self.name, daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            try:
                future, call = self._calls.get(timeout=IDLE_S)
            except queue.Empty:
                if self._ends():
                    return
                continue
            if future.set_running_or_notify_cancel():
                _answer(future, call)

    def _ends(self) -> bool:
        with self._lock:
            idle = self._calls.empty()  # else a call came while this thread gave up waiting
            self._running -= idle
        return idle


def _answer(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        result = call()
    except BaseException as error:  # whoever asked hears of it
        future.set_exception(error)
    else:
        future.set_result(result)


async def run_within(pool: DaemonPool, seconds: float, function: Callable[P, Result], *arguments: P.args,
                     **options: P.kwargs) -> Result:
    """Runs a call in the pool; TimeoutError after `seconds`. A call that has not begun by then never does."""
    async with asyncio.timeout(seconds):
        return await asyncio.wrap_future(pool.submit(function, *arguments, **options))
