"""Who reads which rows: pure arithmetic over ranks, so that every row is read once an epoch by any number of ranks.

Rank r of w owns rows [rN//w, (r+1)N//w) of the epoch's order. All ranks take S = ceil(ceil(N/w)/batch) steps; step s of
a rank is rows [s*n//S, (s+1)*n//S) of its n. No padding, no row twice, the same number of steps everywhere. Where rows
belong together (`group`), the same is said of groups of rows instead of rows, and the last group may be smaller.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class World:
    """One rank's view: `rank` of `size` ranks over `rows` rows in steps of at most `batch` rows a rank.

    `group`: rows [k*group, (k+1)*group) are in one step of one rank, for every k; at most `batch`.
    """

    rank: int
    size: int
    rows: int
    batch: int
    group: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size or self.rows < 0 or not 1 <= self.group <= self.batch:
            raise ValueError(f"expected 0 <= rank < size, rows >= 0 and 1 <= group <= batch, got {self}")

    def span(self, rank: int | None = None) -> tuple[int, int]:
        """Returns (first row, end row) of `rank` in the epoch's order; by default this rank's."""
        low, high = self._groups(self.rank if rank is None else rank)
        return self._row(low), self._row(high)

    @property
    def steps(self) -> int:
        """Number of steps of an epoch, the same on every rank."""
        of_a_rank = -(-self._count_groups() // self.size)
        return -(-of_a_rank // (self.batch // self.group))

    def step(self, number: int, rank: int | None = None) -> tuple[int, int]:
        """Returns (first row, end row) of step `number` of `rank`; empty when the rank has fewer groups than steps."""
        low, high = self._groups(self.rank if rank is None else rank)
        n = high - low
        return self._row(low + number * n // self.steps), self._row(low + (number + 1) * n // self.steps)

    def step_rows(self, number: int) -> int:
        """Returns the rows of step `number` over all ranks: what its gradient is divided by."""
        spans = (self.step(number, rank) for rank in range(self.size))
        return sum(high - low for low, high in spans)

    def _count_groups(self) -> int:
        return -(-self.rows // self.group)

    def _groups(self, rank: int) -> tuple[int, int]:
        return rank * self._count_groups() // self.size, (rank + 1) * self._count_groups() // self.size

    def _row(self, group: int) -> int:
        return min(group * self.group, self.rows)


def shuffle_files(files: int, seed: int, epoch: int) -> list[int]:
    """Returns a permutation of range(files), the order of the files in an epoch: a function of (seed, epoch) alone."""
    return np.random.default_rng([seed, epoch]).permutation(files).tolist()


def split_range(sizes: Sequence[int], low: int, high: int) -> list[tuple[int, int, int]]:
    """Splits rows [low, high) of files of these sizes, laid end to end: (file, first row, end row) of each that has some."""
    ranges: list[tuple[int, int, int]] = []
    start = 0
    for number, size in enumerate(sizes):
        first, end = max(low - start, 0), min(high - start, size)
        if first < end:
            ranges.append((number, first, end))
        start += size
    return ranges
