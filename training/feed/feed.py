"""Rows to batches: pictures decoded straight into the memory of their batch, some steps ahead, in order.

Decoders take units of rows by turns: each reads its own row groups, decodes, and answers with labels and hashes. Only pictures
whose size is not known beforehand pass from process to process. What was decoded is kept for later epochs while there is room.
"""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from contract.documents.card import Preprocess
from contract.documents.manifest import DataFile
from contract.errors import Mismatch
from contract.stores.store import Storage
from inference.model import preprocess as shared
from training.feed import reader
from training.feed.buffers import Slots
from training.feed.cache import PictureCache
from training.feed.decode import Filler
from training.feed.epoch import Epoch
from training.feed.plan import HELD, Plan, Windows, Work
from training.feed.workers import Decoder, begun, end

FORK_FROM = 2000  # rows from which processes, which take longer to start, are faster than threads


@dataclass
class Batch:
    """The rows of one step: uint8 [n, 3, H, W], int64 [n], and their image hashes. n may be 0."""

    images: Tensor
    labels: Tensor
    hashes: list[str]


class Feed:
    """Batches of any rows, again and again; processes that decode, and pictures that are kept, stay until it is closed.

    `forked`: decode in processes instead of threads; by default where that pays. `room`: bytes for pictures that are kept.
    """

    def __init__(self, storage: Storage, preprocess: Preprocess, threads: int | None = None, forked: bool | None = None,
                 room: int = 0) -> None:
        self.storage, self.preprocess, self.forked, self.room = storage, preprocess, forked, room
        self.threads = threads or os.cpu_count() or 1
        self.decoders: list[Decoder] = []
        self.slots: Slots | None = None  # that the decoders have
        self.kept: PictureCache | None = None  # that they have, and have had
        self.row_groups: dict[str, list[int]] = {}  # rows of each, by the key of its file
        self.busy = False

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the decoders and lets go of what was kept; new ones are begun when they are needed."""
        self._end()
        kept, self.kept = self.kept, None
        if kept:
            kept.clear()
        self.row_groups.clear()

    def _end(self) -> None:
        decoders, self.decoders, self.slots = self.decoders, [], None
        end(decoders)

    def batches(self, files: Sequence[DataFile], low: int, sizes: Sequence[int],
                windows: Windows | None = None) -> Iterator[Batch]:
        """Batches of these sizes from row `low` of the files laid end to end; the same whoever decodes, or has decoded.

        `windows`: cut where it says instead of in the middle (preprocess.crop must be set). When all are taken, decoders and
        pictures stay for the next; closed before, all is begun anew. One at a time: RuntimeError. Mismatch: the files have other
        rows than the manifest says. BadImage: of a picture. RankGone: a process was killed. UsageError: no memory for `room`.
        """
        if self.busy:
            raise RuntimeError("expected the batches before to be taken to the end or closed; their decoders are still busy.")
        wanted, skip = reader.spanned(files, low, low + sum(sizes))
        self.kept = self.kept or PictureCache(self.room if self.preprocess.crop else 0, self.threads)
        with ExitStack() as stack:
            epoch, paths = self._planned(wanted, skip, sizes), []
            if epoch is None or epoch.reads():
                paths = stack.enter_context(reader.staged(self.storage, wanted))
                self._look(wanted, paths)
                epoch = epoch or self._planned(wanted, skip, sizes)
            steps, self.busy = None, True
            try:
                self._begin(epoch.plan, epoch.plan.works(paths, self.preprocess, windows, self.kept, epoch.unread))
                steps = _Steps(epoch, self.slots, self.decoders)
                yield from steps
            finally:
                self.busy = False
                if steps is None or steps.left:  # there may be answers to come
                    self.close()

    def _planned(self, files: Sequence[DataFile], skip: int, sizes: Sequence[int]) -> Epoch | None:
        """None: some of the files were never looked at."""
        if any(file.key not in self.row_groups for file in files):
            return None
        return Epoch.of(files, self.row_groups, skip, sizes, self.threads, self.kept)

    def _look(self, files: Sequence[DataFile], paths: Sequence[Path]) -> None:
        for file, path in zip(files, paths, strict=True):
            found = reader.row_groups(self.storage, file, path)
            if found != self.row_groups.setdefault(file.key, found):
                raise Mismatch(f"{self.storage.uri(file.key)}: expected the row groups that it had before, got others. The file "
                               f"was replaced while it was read; start again.")

    def _begin(self, plan: Plan, works: Sequence[Work]) -> None:
        slots, parts, forked = plan.slots(self.preprocess.crop, self.slots), self.kept.parts, self._forks(plan)
        if slots is not self.slots or len(self.decoders) < len(works) or forked != self.decoders[0].forked:
            self._end()
            _import()
            self.slots = slots
            self.decoders = begun(lambda work: Filler(work, slots, parts), self.threads if forked else len(works), forked)
        for decoder, work in zip(self.decoders, works, strict=False):
            decoder.begin(work)

    def _forks(self, plan: Plan) -> bool:
        if self.forked is not None:
            return self.forked
        there = bool(self.decoders) and self.decoders[0].forked
        pays = sum(plan.sizes) >= FORK_FROM and sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()
        return there or pays


def _import() -> None:
    """What decoders need, once and for all of them."""
    import simplejpeg  # noqa: F401

    reader.ready()
    shared.lazy_torchvision.load()


@dataclass
class _Step:
    slot: int | None
    labels: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)


class _Steps:
    """Asks the decoders for units in their order, and puts the answers together to steps."""

    def __init__(self, epoch: Epoch, slots: Slots, decoders: Sequence[Decoder]) -> None:
        self.epoch, self.plan, self.slots, self.decoders = epoch, epoch.plan, slots, decoders
        self.unused = slots.free()
        self.lent = set(range(len(slots.arrays))).difference(self.unused)  # whose batches somebody may still look at
        self.begun: dict[int, _Step] = {}
        self.asked: deque[int] = deque()  # numbers of units
        self.left = len(epoch.plan.units)  # units that were not taken
        self.coming = iter(range(self.left))

    def __iter__(self) -> Iterator[Batch]:
        for step, size in enumerate(self.plan.sizes):
            self._ask()
            while size and (step not in self.begun or len(self.begun[step].labels) < size):
                self._take()
                self._ask()
            yield self._batch(self.begun.pop(step, _Step(None)))

    def _ask(self) -> None:
        for number in islice(self.coming, max(0, self.plan.shares.ahead - len(self.asked))):
            steps = [part.step for part in self.plan.parts[number]]
            for step in steps:
                if step not in self.begun:
                    self.begun[step] = _Step(self._slot())
            self.decoders[self.epoch.owner(number)].ask(self.epoch.task(number, [self.begun[step].slot for step in steps]))
            self.asked.append(number)

    def _take(self) -> None:
        number = self.asked.popleft()
        found = self.epoch.taken(number, self.decoders[self.epoch.owner(number)].answer())
        self.left -= 1
        found = [iter(values) for values in found]
        for part in self.plan.parts[number]:
            step = self.begun[part.step]
            for mine, values in zip((step.labels, step.hashes, step.pictures), found, strict=True):
                mine += islice(values, part.rows)

    def _slot(self) -> int | None:
        if not self.slots.arrays:
            return None
        self._reclaim()
        return self.unused.pop()

    def _reclaim(self) -> None:
        free = self.lent.intersection(self.slots.free()) if self.lent else set()
        self.lent -= free
        self.unused += free

    def _batch(self, step: _Step) -> Batch:
        return Batch(self._images(step), torch.tensor(step.labels, dtype=torch.int64), step.hashes)

    def _images(self, step: _Step) -> Tensor:
        if step.pictures:
            return torch.stack([torch.from_numpy(picture) for picture in step.pictures])
        if step.slot is None:
            return torch.empty(0, 3, 1, 1, dtype=torch.uint8)
        images = torch.from_numpy(self.slots.view(step.slot, 0, len(step.labels))).permute(0, 3, 1, 2)
        self._reclaim()
        if len(self.lent) < HELD:
            self.lent.add(step.slot)
            return images
        self.unused.append(step.slot)
        return images.clone()
