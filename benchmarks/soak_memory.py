"""What a service holds in memory while `benchmarks.soak` asks it."""

from __future__ import annotations

import threading
from contextlib import suppress
from statistics import median

import psutil


class Memory:
    """Looks every second at the memory of a process and of those that it started; `end` says what was held, in MB (10^6 bytes).

    `first` and `last` are medians over a quarter of the time each, `grown` the share that the last is above the first.
    """

    def __init__(self, pid: int) -> None:
        self._process, self._held, self._stop = psutil.Process(pid), [], threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(1):
            with suppress(psutil.NoSuchProcess):
                every = [self._process, *self._process.children(recursive=True)]
                self._held.append(sum(one.memory_info().rss for one in every) / 1e6)

    def end(self) -> dict[str, float]:
        """Stops looking."""
        self._stop.set()
        self._thread.join()
        quarter = max(len(self._held) // 4, 1)
        first, last = median(self._held[:quarter]), median(self._held[-quarter:])
        return {"first": round(first), "last": round(last), "grown": round(last / first - 1, 3)}
