"""Rows to batches: pictures decoded straight into the memory of their batch, some steps ahead, in order.

Workers take chunks of rows in turn: each reads its own row groups, decodes, and reports labels and hashes. Only pictures whose
size is not known beforehand pass from process to process. What was decoded is cached for later epochs while there is space.
"""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.documents.card import Preprocess
from contract.documents.manifest import DataFile
from contract.errors import Mismatch
from contract.stores.store import Storage
from inference.model import lazy_torchvision
from inference.model import preprocess as shared
from training.feed import reader
from training.feed.batches import Batch
from training.feed.buffers import BatchBuffers
from training.feed.cache import PictureCache
from training.feed.decode import TaskRunner
from training.feed.epoch import Epoch
from training.feed.plan import MAX_LENT, CropWindows, Plan, WorkerPlan
from training.feed.row_source import RowSource
from training.feed.workers import Worker, start_workers, stop_workers

FORK_FROM = 2000  # rows from which processes, which take longer to start, are faster than threads


class Feed:
    """Makes batches of any rows, epoch after epoch; workers and cached pictures stay until it is closed.

    `workers`: how many, by default the machine's cores. `forked`: processes instead of threads, by default where that pays.
    `cache_bytes`: most memory for decoded pictures. `rows`: where they are read, by default from the dataset's Petastorm files.
    """

    def __init__(self, storage: Storage, preprocess: Preprocess, workers: int | None = None, forked: bool | None = None,
                 cache_bytes: int = 0, rows: RowSource | None = None) -> None:
        self.storage = storage
        self.rows: RowSource = rows or reader.PetastormFiles()
        self.preprocess = preprocess
        self.max_workers = workers or os.cpu_count() or 1
        self.forked = forked
        self.cache_bytes = cache_bytes
        self.workers: list[Worker] = []
        self.buffers: BatchBuffers | None = None  # that the workers share
        self.cache: PictureCache | None = None  # that the workers share, and those before them
        self.row_groups: dict[str, list[int]] = {}  # rows of each row group, by the key of its file
        self.busy = False

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the workers and frees the cache; both are made anew when they are needed."""
        self._stop_workers()
        cache, self.cache = self.cache, None
        if cache:
            cache.clear()
        self.row_groups.clear()

    def _stop_workers(self) -> None:
        workers, self.workers, self.buffers = self.workers, [], None
        stop_workers(workers)

    def batches(self, files: Sequence[DataFile], low: int, sizes: Sequence[int],
                windows: CropWindows | None = None) -> Generator[Batch, None, None]:
        """Yields batches of `sizes` rows from row `low` of the files laid end to end; the same whoever decodes, or has decoded.

        `windows`: crop where it says instead of in the middle (preprocess.crop must be set). When all batches are taken, workers
        and cache stay for the next call; closed before, all starts anew. One call at a time: RuntimeError. Mismatch: the files
        have other rows than the manifest says. BadImage: a picture cannot be decoded. RankGone: a worker was killed. UsageError:
        `cache_bytes` cannot be had.
        """
        if self.busy:
            raise RuntimeError("expected the batches before to be taken to the end or closed; their workers are still busy.")
        selected, skip = reader.select_files(files, low, low + sum(sizes))
        cache = self.cache = self.cache or PictureCache(self.cache_bytes if self.preprocess.crop else 0, self.max_workers)
        with ExitStack() as stack:
            known = all(file.key in self.row_groups for file in selected)
            epoch = self._plan(selected, skip, sizes, cache) if known else None
            paths: Sequence[Path] = []
            if epoch is None or epoch.needs_reading():
                paths = stack.enter_context(self.rows.open(self.storage, selected))
                self._read_row_groups(selected, paths)
                epoch = epoch or self._plan(selected, skip, sizes, cache)
            steps = None
            self.busy = True
            try:
                buffers = self._begin(epoch.plan, cache, epoch.plan.split_by_worker(
                    paths, self.preprocess, windows, cache, epoch.cached))
                steps = _Steps(epoch, buffers, self.workers)
                yield from steps
            finally:
                self.busy = False
                if steps is None or steps.left:  # workers may still send results
                    self.close()

    def _plan(self, files: Sequence[DataFile], skip: int, sizes: Sequence[int], cache: PictureCache) -> Epoch:
        return Epoch.make(files, self.row_groups, skip, sizes, self.max_workers, cache)

    def _read_row_groups(self, files: Sequence[DataFile], paths: Sequence[Path]) -> None:
        for file, path in zip(files, paths, strict=True):
            groups = self.rows.read_row_groups(self.storage, file, path)
            if groups != self.row_groups.setdefault(file.key, groups):
                raise Mismatch(f"{self.storage.uri(file.key)}: expected the row groups that it had before, got others. The file "
                               f"was replaced while it was read; start again.")

    def _begin(self, plan: Plan, cache: PictureCache, worker_plans: Sequence[WorkerPlan]) -> BatchBuffers:
        """Gives the workers their plans, starting new workers where there are too few or of the other kind, or where their
        buffers are too small; returns the buffers."""
        buffers, segments, read = plan.make_buffers(self.preprocess.crop, self.buffers), cache.segments, self.rows.read_chunks
        forked = self._should_fork(plan)
        if buffers is not self.buffers or len(self.workers) < len(worker_plans) or forked != self.workers[0].forked:
            self._stop_workers()
            self._import_for_workers()
            self.buffers = buffers
            self.workers = start_workers(lambda worker_plan: TaskRunner(worker_plan, buffers, segments, read),
                                         self.max_workers if forked else len(worker_plans), forked)
        for worker, worker_plan in zip(self.workers, worker_plans, strict=False):
            worker.begin(worker_plan)
        return buffers

    def _import_for_workers(self) -> None:
        """Imports what workers need, once and for all of them."""
        shared.find_turbo()
        self.rows.prepare()
        lazy_torchvision.load()

    def _should_fork(self, plan: Plan) -> bool:
        if self.forked is not None:
            return self.forked
        running = bool(self.workers) and self.workers[0].forked
        pays = sum(plan.sizes) >= FORK_FROM and sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()
        return running or pays


@dataclass
class _Step:
    """A step that is being filled: the number of its buffer (None where pictures have no fixed size) and its rows so far."""

    buffer: int | None
    labels: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)


class _Steps:
    """Submits chunks to the workers in their order, and joins the results to the batches of steps."""

    def __init__(self, epoch: Epoch, buffers: BatchBuffers, workers: Sequence[Worker]) -> None:
        self.epoch = epoch
        self.plan = epoch.plan
        self.buffers = buffers
        self.workers = workers
        self.unused = buffers.find_unused()
        self.lent = set(range(len(buffers.arrays))).difference(self.unused)  # whose batches the caller may still hold
        self.open: dict[int, _Step] = {}  # steps that are being filled
        self.submitted: deque[int] = deque()  # numbers of unfinished chunks
        self.left = len(epoch.plan.chunks)  # chunks without a result
        self.upcoming = iter(range(self.left))

    def __iter__(self) -> Iterator[Batch]:
        for step, size in enumerate(self.plan.sizes):
            self._submit()
            while size and (step not in self.open or len(self.open[step].labels) < size):
                self._receive()
                self._submit()
            yield self._make_batch(self.open.pop(step, _Step(None)))

    def _submit(self) -> None:
        for number in islice(self.upcoming, max(0, self.plan.assignment.ahead - len(self.submitted))):
            buffers = []
            for part in self.plan.slices[number]:
                step = self.open.get(part.step)
                if step is None:
                    step = self.open[part.step] = _Step(self._take_buffer())
                if step.buffer is not None:
                    buffers.append(step.buffer)
            self.workers[self.epoch.worker_of(number)].submit(self.epoch.make_task(number, buffers))
            self.submitted.append(number)

    def _receive(self) -> None:
        number = self.submitted.popleft()
        result = self.workers[self.epoch.worker_of(number)].result()
        labels, hashes, pictures = self.epoch.record_result(number, result)
        self.left -= 1
        first = 0
        for part in self.plan.slices[number]:
            step, end = self.open[part.step], first + part.rows
            step.labels += labels[first:end]
            step.hashes += hashes[first:end]
            step.pictures += pictures[first:end]
            first = end

    def _take_buffer(self) -> int | None:
        if not self.buffers.arrays:
            return None
        self._reclaim()
        return self.unused.pop()

    def _reclaim(self) -> None:
        """Moves buffers whose batches the caller no longer holds from the lent ones to the unused ones."""
        returned = self.lent.intersection(self.buffers.find_unused()) if self.lent else set()
        self.lent -= returned
        self.unused += returned

    def _make_batch(self, step: _Step) -> Batch:
        return Batch(self._stack_images(step), torch.tensor(step.labels, dtype=torch.int64), step.hashes)

    def _stack_images(self, step: _Step) -> Tensor:
        """Returns uint8 [n, 3, H, W]: the step's buffer itself, or a copy where the caller holds MAX_LENT batches already."""
        if step.pictures:
            return torch.stack([torch.from_numpy(picture) for picture in step.pictures])
        if step.buffer is None:
            return torch.empty(0, 3, 1, 1, dtype=torch.uint8)
        images = torch.from_numpy(self.buffers.view(step.buffer, 0, len(step.labels))).permute(0, 3, 1, 2)
        self._reclaim()
        if len(self.lent) < MAX_LENT:
            self.lent.add(step.buffer)
            return images
        self.unused.append(step.buffer)
        return images.clone()
