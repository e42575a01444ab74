"""How much room the outbox has left: its limit in bytes, and the free space of its disk. Any thread may ask.

What is being committed counts before it is durable, so that requests that come together cannot exceed the limit together.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contract import clock
from contract.errors import TrueupError

# Shipping writes, too: on a disk without room it could not make room. Requests are refused while this is left.
RESERVE_BYTES, RESERVE_SHARE = 64 << 20, 0.2
LOW = 3  # times the reserve
SMALLEST_SPARE, SPARE_SHARE = 64 << 10, 0.25
FREE_S = 0.05  # an answer about free space is good for so long; SQLite refuses what a small disk does not take meanwhile


class OutboxFull(TrueupError):
    """The outbox holds as much as it may, or its disk is full: refuse rather than forget."""


class Room:
    """Counts the bytes of one outbox, whose files lie in `folder`."""

    def __init__(self, folder: Path, limit_bytes: int, used_bytes: int) -> None:
        """`limit_bytes`: the most that the outbox may hold; `used_bytes`: what it holds now."""
        self.folder, self.limit_bytes = folder, limit_bytes
        self._used, self._entering, self._lock = used_bytes, 0, threading.Lock()
        self._free, self._free_until = 0, 0.0
        self._reusable = 0  # bytes within SQLite's file that hold nothing: it never gets shorter
        self._short = 0  # bytes of what was refused last; 0 once there is room for as many
        self._reserve = min(RESERVE_BYTES, int(shutil.disk_usage(folder).total * RESERVE_SHARE))

    def is_full(self) -> bool:
        """Says whether the next row would be refused."""
        return self._used + self._entering >= self.limit_bytes or self._is_disk_full(self._entering)

    def is_short(self) -> bool:
        """Says whether a row as large as the one that was refused last would be refused still."""
        with self._lock:
            size = self._entering + self._short
            if self._used + size > self.limit_bytes or self._is_disk_full(size):
                return True
            self._short = 0
        return self.is_full()

    @property
    def used_bytes(self) -> int:
        """Bytes of what the outbox holds."""
        return self._used

    def is_disk_low(self) -> bool:
        """Says whether the disk's free space is near to the reserve."""
        return shutil.disk_usage(self.folder).free < LOW * self._reserve

    def measure_spare(self, most: int | None = None) -> int:
        """Returns how many bytes one commit of the shipper should write at most, `most` or fewer on a disk with little room."""
        spare = max(int(shutil.disk_usage(self.folder).free * SPARE_SHARE), SMALLEST_SPARE)
        return spare if most is None else min(spare, most)

    def add(self, change: int) -> None:
        """Counts `change` bytes more; fewer when it is negative."""
        with self._lock:
            self._used += change
            self._reusable = max(self._reusable - max(change, 0), 0)

    def set_reusable(self, size: int) -> None:
        """Tells how many bytes of SQLite's file hold nothing."""
        with self._lock:
            self._reusable = size

    def set_used(self, size: int) -> None:
        """Replaces what was counted by `size` bytes."""
        with self._lock:
            self._used = size

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Holds `size` bytes while their commit is under way.

        OutboxFull when the limit or the disk has no room for them.
        """
        with self._lock:
            used = self._used + self._entering
            if used + size > self.limit_bytes:
                self._short = size
                raise OutboxFull(f"the outbox holds {used:,} of {self.limit_bytes:,} bytes: the bucket does not take "
                                 f"rows as fast as they come. Try again later.")
            if self._is_disk_full(self._entering + size):
                self._short = size
                raise OutboxFull(f"the disk of the outbox {self.folder} is full: it has no room for {size:,} bytes twice "
                                 f"and {self._reserve:,} that are kept for shipping. Make room; what was acknowledged "
                                 f"stays.")
            self._entering += size
        try:
            yield
        finally:
            with self._lock:
                self._entering -= size
                self._free -= 2 * size  # until the disk is asked again

    def _is_disk_full(self, entering: int) -> bool:
        """Says whether the disk lacks room for so many bytes: in SQLite's log, and then in its file, which may have it.

        Asks the disk at most every FREE_S: some take as long to say as a row takes to write.
        """
        if clock.monotonic() >= self._free_until:
            self._free = shutil.disk_usage(self.folder).free
            self._free_until = clock.monotonic() + FREE_S
        return self._free - entering - max(entering - self._reusable, 0) < self._reserve
