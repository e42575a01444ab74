"""Plan of an epoch for the workers: which rows each reads and decodes, and into which batch buffers."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.documents.card import Preprocess
from training.feed.buffers import BatchBuffers
from training.feed.cache import PictureCache
from training.feed.chunks import Assignment, Chunk, StepSlice, assign_chunks, cut_chunks, slice_by_step

CHUNK_ROWS = 64  # most rows of a chunk
WHOLE_GROUP_ROWS = 256  # most rows of row groups that one worker each decodes: memory is held for one group of each worker
MAX_LENT = 3  # batches that the caller may hold while others are made; of more it gets copies

# Image hashes -> float64 [n, 3], a row of (down, across, mirrored) each as training.feed.crop.crop_picture takes them.
CropWindows = Callable[[Sequence[str]], NDArray[np.float64]]


@dataclass(frozen=True)
class WorkerPlan:
    """One worker's part of an epoch: its chunks that are read, and the row groups to read for them (`shard` of `shards`).

    Worker threads, too, get it through a pipe, so it is pickled, and so are the crop windows.
    """

    paths: Sequence[Path]
    groups: Sequence[int]  # rows of each row group of the files
    chunks: Sequence[Chunk]
    cache_used: dict[int, int]  # as training.feed.cache.PictureCache.assign_segments returns it
    shard: int
    shards: int
    preprocess: Preprocess
    windows: CropWindows | None


@dataclass(frozen=True)
class Plan:
    """Rows cut into chunks, the slices of steps (of `sizes` rows) that each chunk fills, and which worker decodes it."""

    sizes: Sequence[int]
    groups: Sequence[int]
    chunks: Sequence[Chunk]
    slices: Sequence[Sequence[StepSlice]]
    assignment: Assignment

    @classmethod
    def make(cls, groups: Sequence[int], skip: int, sizes: Sequence[int], max_workers: int) -> "Plan":
        """Plans steps of `sizes` rows from row `skip` on of row groups of `groups` rows."""
        chunks = cut_chunks(groups, skip, skip + sum(sizes), CHUNK_ROWS)
        slices = slice_by_step([chunk.rows for chunk in chunks], sizes)
        return cls(sizes, groups, chunks, slices, assign_chunks(chunks, WHOLE_GROUP_ROWS, max_workers))

    def split_by_worker(self, paths: Sequence[Path], preprocess: Preprocess, windows: CropWindows | None, cache: PictureCache,
                        cached: Collection[int]) -> list[WorkerPlan]:
        """Returns the plan of each worker, by its number; `cached`: numbers of the chunks that need no reading."""
        workers = self.assignment.workers
        chunks: list[list[Chunk]] = [[] for _ in range(workers)]
        for number, chunk in enumerate(self.chunks):
            if number not in cached:
                chunks[self.assignment.worker_of(number, chunk.group)].append(chunk)
        shards = workers if self.assignment.whole_groups else 1
        return [WorkerPlan(paths, self.groups, mine, cache.assign_segments(worker, workers), worker % shards, shards, preprocess,
                           windows)
                for worker, mine in enumerate(chunks)]

    def count_buffers(self) -> int:
        """Returns the number of batch buffers in use at once, at most: of the steps that the submitted chunks and the one
        finished last can fill, of one step that earlier chunks began, and of those that the caller holds."""
        order = {step: n for n, step in enumerate(step for step, size in enumerate(self.sizes) if size)}
        ends = [(order[mine[0].step], order[mine[-1].step]) for mine in self.slices]
        last = len(ends) - 1
        spans = (ends[min(n + self.assignment.ahead, last)][1] - first + 1 for n, (first, _) in enumerate(ends))
        return min(max(spans, default=0) + 1, len(order)) + MAX_LENT

    def make_buffers(self, side: int | None, existing: BatchBuffers | None = None) -> BatchBuffers:
        """Returns buffers for pictures of `side` x `side` pixels (None: without memory); `existing` where they are enough."""
        rows, count, shape = max(self.sizes, default=0), self.count_buffers(), (side or 0, side or 0, 3)
        if existing is None:
            return BatchBuffers(count, rows, shape)
        enough = existing.rows >= rows and existing.count >= count and existing.shape == shape
        return existing if enough else BatchBuffers(max(count, existing.count), max(rows, existing.rows), shape)
