"""Answered pictures that wait for the shadow: few, and bounded in bytes, so that what does not fit is shed at once."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

MOST_PICTURES, MOST_BYTES = 256, 64 << 20


@dataclass(frozen=True)
class Answered:
    """A row that was answered and is durable, and the bytes of its picture as they are kept."""

    row: dict[str, Any]
    picture: bytes


class WaitingPictures:
    """A bounded queue. Any thread may use it."""

    def __init__(self) -> None:
        self._queue: deque[Answered] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._queue)

    def offer(self, one: Answered) -> bool:
        """Queues a picture; False when there is no room for it."""
        with self._changed:
            if len(self._queue) >= MOST_PICTURES or self._bytes + len(one.picture) > MOST_BYTES:
                return False
            self._queue.append(one)
            self._bytes += len(one.picture)
            self._changed.notify()
        return True

    def take(self, most: int, timeout: float) -> list[Answered]:
        """Takes the oldest, `most` at the most; waits up to `timeout` seconds for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue, timeout)
            taken = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
            self._bytes -= sum(len(one.picture) for one in taken)
        return taken

    def clear(self) -> None:
        """Drops all."""
        self.take(len(self._queue), 0)
