"""Cache of decoded pictures for later epochs, in memory that worker processes share with the rank.

Workers write pixels there and report where; the rank remembers it, and tells the worker that gets the row next. What is cached is
what `inference.model.preprocess.decode_and_resize` made, so a batch is the same whether its pictures were decoded now or before.
"""

import mmap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.errors import UsageError

GroupKey = tuple[str, int]  # key of a file, number of a row group in it


class CachedPixels(NamedTuple):
    """Location of a picture's pixels: uint8 [height, width, 3] from byte `offset` of memory segment `segment` on."""

    segment: int
    offset: int
    height: int
    width: int

    @property
    def end(self) -> int:
        """Offset of the byte after the last."""
        return self.offset + 3 * self.height * self.width

    def view(self, segments: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Returns the pixels, uint8 [height, width, 3], without a copy."""
        return segments[self.segment][self.offset:self.end].reshape(self.height, self.width, 3)


class CachedRow(NamedTuple):
    """A row of which nothing has to be read any more: its label's index, its image's sha256, its pixels."""

    label: int
    hash: str
    pixels: CachedPixels


class CacheWriter:
    """One worker's access to the cache: the memory segments, and the used bytes of each that this worker may fill."""

    def __init__(self, segments: Sequence[NDArray[np.uint8]], used: dict[int, int]) -> None:
        self.segments = segments
        self.used = used

    def write(self, pixels: NDArray[np.uint8]) -> CachedPixels | None:
        """Copies uint8 [height, width, 3] into the cache and returns the location; None when there is no space left."""
        for segment, used in self.used.items():
            cached = CachedPixels(segment, used, *pixels.shape[:2])
            if cached.end <= self.segments[segment].size:
                np.copyto(cached.view(self.segments), pixels)
                self.used[segment] = cached.end
                return cached
        return None


class PictureCache:
    """At most `size` bytes of pictures, in `segments` memory segments of equal size. The system gives memory as it is filled.

    UsageError: so much address space cannot be had.
    """

    def __init__(self, size: int, segments: int) -> None:
        # A mapping for each: in a common one workers that fill it for the first time wait for each other.
        try:
            self.segments = [np.frombuffer(mmap.mmap(-1, max(1, size // segments)), np.uint8, size // segments)
                             for _ in range(segments)]
        except OSError as error:
            raise UsageError(f"train.cache_mib: expected memory for decoded pictures, {size >> 20} MiB cannot be had ({error}). "
                             f"Set less; 0 keeps none.") from error
        self.used = [0] * segments
        self.rows: dict[GroupKey, list[CachedRow | None]] = {}

    def assign_segments(self, worker: int, workers: int) -> dict[int, int]:
        """Returns the segments that worker number `worker` of `workers` may fill, each with its used bytes; no segment is
        given to two workers."""
        return {segment: self.used[segment] for segment in range(worker, len(self.used), workers)}

    def find(self, group: GroupKey, low: int, high: int) -> list[CachedRow | None]:
        """Returns rows [low, high) of a row group; None for each that is not cached."""
        rows = self.rows.get(group, [])[low:high]
        return rows + [None] * (high - low - len(rows))

    def add(self, group: GroupKey, low: int, rows: Sequence[CachedRow | None]) -> None:
        """Remembers the rows of a row group from row `low` on; None for each that found no space."""
        if any(rows):
            known = self.rows.setdefault(group, [])
            known += [None] * (low + len(rows) - len(known))
            known[low:low + len(rows)] = rows
        for pixels in (row.pixels for row in rows if row):
            self.used[pixels.segment] = max(self.used[pixels.segment], pixels.end)

    def clear(self) -> None:
        """Frees the memory, even where others still refer to this object."""
        self.segments.clear()
        self.rows.clear()
