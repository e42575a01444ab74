"""Cuts rows into chunks, which workers decode one at a time, and says where the rows of each chunk belong in the steps.

Pure arithmetic.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from training.feed.world import split_range


class Chunk(NamedTuple):
    """Rows [low, high) of row group number `group`; row groups are counted over the files laid end to end."""

    group: int
    low: int
    high: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.high - self.low


class StepSlice(NamedTuple):
    """Rows [first, first + rows) of the batch of step number `step`."""

    step: int
    first: int
    rows: int


def cut_chunks(groups: Sequence[int], low: int, high: int, max_rows: int) -> list[Chunk]:
    """Cuts rows [low, high) of row groups of these sizes into chunks, in order: a row group each, or part of one that has
    more than `max_rows` rows."""
    return [Chunk(group, first, min(first + max_rows, end)) for group, begin, end in split_range(groups, low, high)
            for first in range(begin, end, max_rows)]


def slice_by_step(chunk_rows: Sequence[int], step_rows: Sequence[int]) -> list[list[StepSlice]]:
    """Returns, for each chunk, the slices of steps that it fills; chunks and steps are given by their rows, in order.

    ValueError: the sums differ.
    """
    if sum(chunk_rows) != sum(step_rows):
        raise ValueError(f"expected steps of {sum(chunk_rows)} rows together, got {sum(step_rows)}")
    slices: list[list[StepSlice]] = []
    step, filled = 0, 0
    for left in chunk_rows:
        slices.append([])
        while left:
            rows = min(left, step_rows[step] - filled)
            if rows:
                slices[-1].append(StepSlice(step, filled, rows))
            left -= rows
            filled += rows
            if filled == step_rows[step]:
                step, filled = step + 1, 0
    return slices


class Assignment(NamedTuple):
    """Which of `workers` workers decodes which chunk.

    `whole_groups`: row groups go to the workers in turn, so that each is read by one worker alone; else chunks go in turn,
    and every worker reads every row group. `ahead`: chunks that are submitted before the oldest is finished, so that every
    worker has a next one when it has finished one.
    """

    workers: int
    whole_groups: bool
    ahead: int

    def worker_of(self, number: int, group: int) -> int:
        """Returns the number of the worker that decodes chunk `number`, which is of row group `group`."""
        return (group if self.whole_groups else number) % self.workers


def assign_chunks(chunks: Sequence[Chunk], max_whole_rows: int, max_workers: int) -> Assignment:
    """Assigns chunks to at most `max_workers` workers.

    Where a row group has more than `max_whole_rows` rows, workers share row groups: a batch could wait for many of them.
    """
    chunks_of_group = Counter(chunk.group for chunk in chunks)
    workers = max(1, min(max_workers, len(chunks_of_group)))
    if max((chunk.high for chunk in chunks), default=0) <= max_whole_rows:
        return Assignment(workers, True, workers * max([2, *chunks_of_group.values()]))
    workers = max(1, min(max_workers, len(chunks)))
    return Assignment(workers, False, workers * 2)
