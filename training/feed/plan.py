"""What an epoch asks of its decoders: which rows each reads and decodes, and where they go."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.documents.card import Preprocess
from training.feed.buffers import Slots
from training.feed.cache import PictureCache
from training.feed.chunks import Part, Shares, Unit, parts, shares, units

UNIT = 64  # rows that a decoder does at a time, at most
WHOLE = 256  # rows up to which row groups are one decoder's each: memory is held for one of each decoder
HELD = 3  # batches that may be held while others are made; of more, whoever holds them gets copies

Windows = Callable[[Sequence[str]], Any]  # image hashes -> [n, 3]: as training.feed.crop.cut takes them


@dataclass(frozen=True)
class Work:
    """One decoder's part of an epoch: its units that are read, and the row groups to read for them (`shard` of `shards`).

    It is pickled for threads too, and so are the windows.
    """

    paths: Sequence[Path]
    groups: Sequence[int]  # rows of each row group of the files
    units: Sequence[Unit]
    room: dict[int, int]  # as training.feed.cache.PictureCache.room gives it
    shard: int
    shards: int
    preprocess: Preprocess
    windows: Windows | None


@dataclass(frozen=True)
class Plan:
    """Rows as units, as parts of steps of `sizes` rows, and who does them."""

    sizes: Sequence[int]
    groups: Sequence[int]
    units: Sequence[Unit]
    parts: Sequence[Sequence[Part]]
    shares: Shares

    @classmethod
    def of(cls, groups: Sequence[int], skip: int, sizes: Sequence[int], decoders: int) -> "Plan":
        """For rows from `skip` on of row groups of these sizes, by so many decoders at most."""
        found = units(groups, skip, skip + sum(sizes), UNIT)
        return cls(sizes, groups, found, parts([unit.rows for unit in found], sizes), shares(found, WHOLE, decoders))

    def works(self, paths: Sequence[Path], preprocess: Preprocess, windows: Windows | None, kept: PictureCache,
              unread: Collection[int]) -> list[Work]:
        """What each decoder does, by its number; `unread`: numbers of the units that are not read, for all of it is kept."""
        found: list[list[Unit]] = [[] for _ in range(self.shares.decoders)]
        for n, unit in enumerate(self.units):
            if n not in unread:
                found[self.shares.of(n, unit.group)].append(unit)
        shards = len(found) if self.shares.whole else 1
        return [Work(paths, self.groups, mine, kept.room(number, len(found)), number % shards, shards, preprocess, windows)
                for number, mine in enumerate(found)]

    def most(self) -> int:
        """Steps that need memory at once: those that the units asked for and the one answered last can fill, one that earlier
        units began, and those that are kept."""
        turn = {step: n for n, step in enumerate(step for step, size in enumerate(self.sizes) if size)}
        ends = [(turn[mine[0].step], turn[mine[-1].step]) for mine in self.parts]
        spans = (ends[min(n + self.shares.ahead, len(ends) - 1)][1] - low + 1 for n, (low, _) in enumerate(ends))
        return min(max(spans, default=0) + 1, len(turn)) + HELD

    def slots(self, side: int | None, has: Slots | None = None) -> Slots:
        """Memory for pictures of that side; `has` where that is enough."""
        rows, count, shape = max(self.sizes, default=0), self.most(), (side or 0, side or 0, 3)
        if has is None:
            return Slots(count, rows, shape)
        enough = has.rows >= rows and has.count >= count and has.shape == shape
        return has if enough else Slots(max(count, has.count), max(rows, has.rows), shape)
