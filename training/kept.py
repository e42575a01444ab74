"""Pictures decoded once and kept for the epochs to come, in memory that decoders have in common with the rank.

Decoders lay pixels there and answer where; the rank remembers, and tells whoever has the row next. What is kept is what
`inference.preprocess.resized` made, so a batch is the same whether its pictures were decoded now or before.
"""

import mmap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Group = tuple[str, int]  # key of a file, number of a row group in it


class Pixels(NamedTuple):
    """Where the pixels of a picture lie: uint8 [height, width, 3] from byte `at` of a decoder's part on."""

    part: int
    at: int
    height: int
    width: int

    @property
    def end(self) -> int:
        """The byte behind them."""
        return self.at + 3 * self.height * self.width

    def of(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """The pixels themselves."""
        return parts[self.part][self.at:self.end].reshape(self.height, self.width, 3)


class Known(NamedTuple):
    """A row of which nothing has to be read any more."""

    label: int
    hash: str
    pixels: Pixels


class Room:
    """What of a decoder's own part is unused, from byte `used` on; filled from the front."""

    def __init__(self, parts: Sequence[np.ndarray], part: int, used: int) -> None:
        self.parts, self.part, self.used = parts, part, used

    def keep(self, pixels: np.ndarray) -> Pixels | None:
        """Copies uint8 [height, width, 3] and says where; None: there is no room."""
        found = Pixels(self.part, self.used, *pixels.shape[:2])
        if found.end > self.parts[self.part].size:
            return None
        np.copyto(found.of(self.parts), pixels)
        self.used = found.end
        return found


class Kept:
    """At most `size` bytes of pictures, in equal parts for so many decoders. The system gives memory as it is filled."""

    def __init__(self, size: int, decoders: int) -> None:
        # A mapping for each: in a common one decoders that fill it for the first time wait for each other.
        self.parts = [np.frombuffer(mmap.mmap(-1, max(1, size // decoders)), np.uint8, size // decoders) for _ in range(decoders)]
        self.used = [0] * decoders
        self.rows: dict[Group, list[Known | None]] = {}

    def known(self, group: Group, low: int, high: int) -> list[Known | None]:
        """Rows [low, high) of a row group; None for each that must be read."""
        found = self.rows.get(group, [])[low:high]
        return found + [None] * (high - low - len(found))

    def learn(self, decoder: int, group: Group, low: int, rows: Sequence[Known | None], used: int) -> None:
        """What this decoder answered of rows from `low` on, and up to where its part is used now."""
        self.used[decoder] = used
        if any(rows):
            there = self.rows.setdefault(group, [])
            there += [None] * (low + len(rows) - len(there))
            there[low:low + len(rows)] = rows
