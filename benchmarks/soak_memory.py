"""What a service holds in memory while `benchmarks.soak` asks it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from statistics import median
from typing import Any

import psutil


class Memory:
    """Looks every second at the memory of a process and of those that it started; `end` says what was held, in MB (10^6 bytes).

    `first` and `last` are medians over a quarter of the time each, `grown` the share that the last is above the first;
    the same by `service` and `beside`, which is the process of a shadow and the like.
    """

    def __init__(self, pid: int) -> None:
        self._process, self._held, self._stop = psutil.Process(pid), [], threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(1):
            with suppress(psutil.NoSuchProcess):
                beside = sum(one.memory_info().rss for one in self._process.children(recursive=True))
                self._held.append((self._process.memory_info().rss / 1e6, beside / 1e6))

    def end(self) -> dict[str, Any]:
        """Stops looking."""
        self._stop.set()
        self._thread.join()
        service, beside = zip(*self._held, strict=True)
        return compare_quarters([sum(pair) for pair in self._held]) | {
            "service": compare_quarters(service), "beside": compare_quarters(beside)}


def compare_quarters(held: Sequence[float]) -> dict[str, float]:
    """The median of the first quarter and of the last one; `grown` is 0 where the first held nothing."""
    quarter = max(len(held) // 4, 1)
    first, last = median(held[:quarter]), median(held[-quarter:])
    return {"first": round(first), "last": round(last), "grown": round(last / first - 1, 3) if first else 0.0}
