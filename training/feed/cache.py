"""Pictures decoded once and kept for the epochs to come, in memory that decoders have in common with the rank.

Decoders lay pixels there and answer where; the rank remembers, and tells whoever has the row next. What is kept is what
`inference.model.preprocess.resized` made, so a batch is the same whether its pictures were decoded now or before.
"""

import mmap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from contract.errors import UsageError

Group = tuple[str, int]  # key of a file, number of a row group in it


class Pixels(NamedTuple):
    """Where the pixels of a picture lie: uint8 [height, width, 3] from byte `at` of a part of the memory on."""

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
    """The parts that one decoder may fill, each by its number with the bytes of it that are used."""

    def __init__(self, parts: Sequence[np.ndarray], used: dict[int, int]) -> None:
        self.parts, self.used = parts, used

    def keep(self, pixels: np.ndarray) -> Pixels | None:
        """Copies uint8 [height, width, 3] and says where; None: there is no room."""
        for part, used in self.used.items():
            found = Pixels(part, used, *pixels.shape[:2])
            if found.end <= self.parts[part].size:
                np.copyto(found.of(self.parts), pixels)
                self.used[part] = found.end
                return found
        return None


class PictureCache:
    """At most `size` bytes of pictures, in so many parts of equal size. The system gives memory as it is filled.

    UsageError: there is not so much.
    """

    def __init__(self, size: int, parts: int) -> None:
        # A mapping for each: in a common one decoders that fill it for the first time wait for each other.
        try:
            self.parts = [np.frombuffer(mmap.mmap(-1, max(1, size // parts)), np.uint8, size // parts) for _ in range(parts)]
        except OSError as error:
            raise UsageError(f"train.cache_mib: expected memory for decoded pictures, {size >> 20} MiB cannot be had ({error}). "
                             f"Set less; 0 keeps none.") from error
        self.used = [0] * parts
        self.rows: dict[Group, list[Known | None]] = {}

    def room(self, decoder: int, decoders: int) -> dict[int, int]:
        """The parts that one of so many decoders may fill, with their used bytes: each part is filled by one at a time."""
        return {part: self.used[part] for part in range(decoder, len(self.used), decoders)}

    def known(self, group: Group, low: int, high: int) -> list[Known | None]:
        """Rows [low, high) of a row group; None for each that must be read."""
        found = self.rows.get(group, [])[low:high]
        return found + [None] * (high - low - len(found))

    def learn(self, group: Group, low: int, rows: Sequence[Known | None]) -> None:
        """What was found out about the rows of a row group from `low` on."""
        if any(rows):
            there = self.rows.setdefault(group, [])
            there += [None] * (low + len(rows) - len(there))
            there[low:low + len(rows)] = rows
        for pixels in (row.pixels for row in rows if row):
            self.used[pixels.part] = max(self.used[pixels.part], pixels.end)

    def clear(self) -> None:
        """Lets go of the memory, whoever still refers to this."""
        self.parts.clear()
        self.rows.clear()
