"""Parts of an epoch: what is left of it when another number of ranks goes on, and the batches of its steps.

Ranks read from the places where they begin, each its own rows, so what is left is a range of rows for each rank that was
there. The ranges laid end to end are divided among the new ranks as a whole epoch is (training.feed.world), so every
row is still read once. With the same number of ranks nothing is divided anew, and a resume makes the same steps.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import torch

from contract.documents.manifest import DataFile
from training.feed.batches import Batch, BatchSource
from training.feed.plan import CropWindows
from training.feed.world import World, split_range

Range = tuple[int, int]  # first row, end row


@dataclass(frozen=True)
class EpochPart:
    """Rows that `ranks` ranks divide among themselves: `ranges` of the epoch's order, ascending and laid end to end.

    `steps`: how many steps of the same epoch other ranks took before. `batch` and `group` are those of World.
    """

    ranks: int
    ranges: tuple[Range, ...]
    batch: int
    group: int = 1
    steps: int = 0

    @classmethod
    def whole(cls, rows: int, ranks: int, batch: int, group: int = 1) -> "EpochPart":
        """Returns the part that is a whole epoch of `rows` rows."""
        return cls(ranks, ((0, rows),), batch, group)

    @classmethod
    def parse(cls, facts: dict[str, Any]) -> "EpochPart":
        """Reads what `to_dict` returned, from JSON."""
        return cls(**facts | {"ranges": tuple((low, high) for low, high in facts["ranges"])})

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, for JSON."""
        return asdict(self)

    @property
    def rows(self) -> int:
        """Number of rows of all ranges."""
        return sum(high - low for low, high in self.ranges)

    def make_world(self, rank: int = 0) -> World:
        """Returns one rank's view of this part; its rows are numbered from 0, through all ranges."""
        return World(rank, self.ranks, self.rows, self.batch, self.group)

    def locate(self, low: int, high: int) -> list[Range]:
        """Returns the ranges of the epoch's order that rows [low, high) of this part are; none is empty."""
        sizes = [end - first for first, end in self.ranges]
        return [(self.ranges[n][0] + first, self.ranges[n][0] + end) for n, first, end in split_range(sizes, low, high)]

    def go_on(self, step: int, ranks: int) -> "tuple[EpochPart, int]":
        """Returns (part, next step of it) with which `ranks` ranks go on after `step` steps of this part."""
        if ranks == self.ranks:
            return self, step
        world, left = self.make_world(), []
        for rank in range(self.ranks) if world.steps else ():
            left += self.locate(world.step(step, rank)[0], world.span(rank)[1])
        return EpochPart(ranks, _join(left), self.batch, self.group, self.steps + step), 0


def _join(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """Joins ranges of which one ends where the next begins."""
    joined: list[Range] = []
    for low, high in ranges:
        if joined and joined[-1][1] == low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return tuple(joined)


def read_steps(feed: BatchSource, files: Sequence[DataFile], steps: Sequence[Sequence[Range]],
               windows: CropWindows | None = None) -> Generator[Batch, None, None]:
    """Yields a batch for each step, whose rows are ranges of the files laid end to end (none: an empty batch).

    `windows`: as BatchSource.batches takes them. What it raises, this raises.
    """
    with closing(_read_pieces(feed, files, _plan_reads(steps), windows)) as pieces:
        for ranges in steps:
            yield _concatenate(list(islice(pieces, len(ranges))))


def _plan_reads(steps: Sequence[Sequence[Range]]) -> list[tuple[int, list[int]]]:
    """Returns (first row, sizes) of each uninterrupted read, in order."""
    reads: list[tuple[int, list[int]]] = []
    end = -1
    for low, high in (piece for ranges in steps for piece in ranges):
        if low != end:
            reads.append((low, []))
        reads[-1][1].append(high - low)
        end = high
    return reads


def _read_pieces(feed: BatchSource, files: Sequence[DataFile], reads: Sequence[tuple[int, list[int]]],
                 windows: CropWindows | None) -> Generator[Batch, None, None]:
    for low, sizes in reads:
        yield from feed.batches(files, low, sizes, windows)


def _concatenate(pieces: Sequence[Batch]) -> Batch:
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return Batch(torch.empty(0, 3, 1, 1, dtype=torch.uint8), torch.empty(0, dtype=torch.int64), [])
    return Batch(torch.cat([piece.images for piece in pieces]), torch.cat([piece.labels for piece in pieces]),
                 [h for piece in pieces for h in piece.hashes])


def list_places(ranges: Sequence[Range]) -> list[int]:
    """Returns the places in the epoch's order of the rows of these ranges."""
    return [place for low, high in ranges for place in range(low, high)]
