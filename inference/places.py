"""Places and bytes that requests under way may hold, all together and each key: one caller cannot shut out the others.

    with places.take(caller.share_name, size) as taken:     # Refused (503) when there is no place
        taken.grow(more)                                    # likewise
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from contract.texts.figures import write_count
from inference.auth import Refused

RETRY_AFTER = {"Retry-After": "1"}


class Places:
    """Counts on one event loop. A `key` of None has no share of its own."""

    def __init__(self, most: int, most_bytes: int, share: float) -> None:
        """`share`: of both, that one key may hold at the most; of a small queue one place at the least."""
        self.most, self.most_bytes = most, most_bytes
        self._most_of_key, self._bytes_of_key = max(int(most * share), 1), int(most_bytes * share)
        self.taken, self._bytes = 0, 0
        self._of: Counter[str] = Counter()
        self._bytes_of: Counter[str] = Counter()

    @contextmanager
    def take(self, key: str | None, size: int) -> Iterator[Taken]:
        """Holds one place and `size` bytes, and what it grows by. Refused (503)."""
        self._check(key, size)
        self._count(key, 1, size)
        taken = Taken(self, key, size)
        try:
            yield taken
        finally:
            self._count(key, -1, -taken.size)

    def add_bytes(self, key: str | None, size: int) -> None:
        """Holds `size` bytes more for a request that has its place. Refused (503)."""
        if self.taken > 1 and self._bytes + size > self.most_bytes:
            raise self._refuse()
        if key is not None and self._of[key] > 1 and self._bytes_of[key] + size > self._bytes_of_key:
            raise self._refuse_key(key)
        self._count(key, 0, size)

    def _check(self, key: str | None, size: int) -> None:
        # A request that is alone gets in, whatever it brings.
        if self.taken >= self.most or (self.taken and self._bytes + size > self.most_bytes):
            raise self._refuse()
        if key is None or not self._of[key]:
            return
        if self._of[key] >= self._most_of_key or self._bytes_of[key] + size > self._bytes_of_key:
            raise self._refuse_key(key)

    def _refuse(self) -> Refused:
        return Refused(503, "queue_full", f"{self.taken} predictions are under way. Try again later.", RETRY_AFTER)

    def _refuse_key(self, key: str) -> Refused:
        return Refused(503, "key_has_its_share", f"{write_count(self._of[key], 'prediction')} of the key {key} under way, with "
                       f"{self._bytes_of[key]:,} bytes: one key may have no more. Wait for answers, or see serve.key_share.",
                       RETRY_AFTER)

    def _count(self, key: str | None, places: int, size: int) -> None:
        self.taken, self._bytes = self.taken + places, self._bytes + size
        if key is not None:
            self._of[key] += places
            self._bytes_of[key] += size
            if not self._of[key]:
                del self._of[key], self._bytes_of[key]


class Taken:
    """What one request holds."""

    def __init__(self, places: Places, key: str | None, size: int) -> None:
        self._places, self._key, self.size = places, key, size

    def grow(self, size: int) -> None:
        """Holds `size` bytes more, before they are read. Refused (503)."""
        self._places.add_bytes(self._key, size)
        self.size += size
