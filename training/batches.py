"""Rows to batches: pictures decoded straight into the memory of their batch, some steps ahead, in order.

Decoders take units of rows by turns: each reads its own row groups, decodes, and answers with labels and hashes. Only pictures
whose size is not known beforehand pass from process to process.
"""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor

from contract.card import Preprocess
from contract.manifest import DataFile
from contract.storage import Storage
from inference import preprocess as shared
from training import reader
from training.decoders import Decoder, Fill, begun, end
from training.lay import lay
from training.plan import KEPT, Plan, Windows, Work
from training.slots import Slots
from training.units import Part

FORK_FROM = 2000  # rows from which processes, which take longer to start, are faster than threads

Task = list[tuple[int | None, int, int]]  # slot, first place in it, rows


@dataclass
class Batch:
    """The rows of one step: uint8 [n, 3, H, W], int64 [n], and their image hashes. n may be 0."""

    images: Tensor
    labels: Tensor
    hashes: list[str]


class Feed:
    """Batches of any rows, again and again; processes that decode stay until it is closed.

    `forked`: decode in processes instead of threads; by default where that pays.
    """

    def __init__(self, storage: Storage, preprocess: Preprocess, threads: int | None = None, forked: bool | None = None) -> None:
        self.storage, self.preprocess, self.forked = storage, preprocess, forked
        self.threads = threads or os.cpu_count() or 1
        self.decoders: list[Decoder] = []
        self.slots: Slots | None = None  # that the decoders have
        self.busy = False

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the decoders; new ones are begun when they are needed."""
        decoders, self.decoders, self.slots = self.decoders, [], None
        end(decoders)

    def batches(self, files: Sequence[DataFile], low: int, sizes: Sequence[int],
                windows: Windows | None = None) -> Iterator[Batch]:
        """Batches of these sizes from row `low` of the files laid end to end; the same whoever decodes.

        `windows`: cut where it says instead of in the middle (preprocess.crop must be set). Taken to the end, decoders stay for
        the next; closed before, new ones are begun. One at a time: RuntimeError. Mismatch: the files have other rows than the
        manifest says. BadImage: of a picture. RankGone: a process was killed.
        """
        if self.busy:
            raise RuntimeError("expected the batches before to be taken to the end or closed; their decoders are still busy.")
        wanted, skip = reader.spanned(files, low, low + sum(sizes))
        with reader.staged(self.storage, wanted) as paths:
            plan = Plan.of(reader.row_groups(self.storage, wanted, paths), skip, sizes, self.threads)
            complete, self.busy = False, True
            try:
                self._begin(plan, plan.works(paths, self.preprocess, windows))
                yield from _Steps(plan, self.slots, self.decoders)
                complete = True
            finally:
                self.busy = False
                if not complete:  # tasks may be left
                    self.close()

    def _begin(self, plan: Plan, works: Sequence[Work]) -> None:
        slots, forked = plan.slots(self.preprocess.crop, self.slots), self._forks(plan)
        if slots is not self.slots or len(self.decoders) < len(works) or forked != self.decoders[0].forked:
            self.close()
            _import()
            self.slots = slots
            self.decoders = begun(lambda work: _filler(work, slots), self.threads if forked else len(works), forked)
        for decoder, work in zip(self.decoders, works, strict=False):
            if work.units:
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
    shared.quick_torchvision.ready()


def _filler(work: Work, slots: Slots) -> Fill:
    """A task fills the next unit of the work; the answer is labels, hashes, and pictures that have no slot."""
    units, preprocess = reader.of_units(work.paths, work.groups, work.units, work.shard, work.shards), work.preprocess
    units = chain([next(units)], units)  # opens the files now, while others are begun

    def fill(task: Task) -> tuple[list[int], list[str], list[np.ndarray]]:
        rows = next(units)
        labels, hashes = [row.label_index for row in rows], [row.image_sha256 for row in rows]
        if preprocess.crop is None:
            return labels, hashes, [shared.to_uint8(row.image, preprocess).numpy() for row in rows]
        places = work.windows(hashes) if work.windows else [None] * len(rows)
        outs = (out for slot, at, n in task for out in slots.view(slot, at, n))
        for row, place, out in zip(rows, places, outs, strict=True):
            lay(row.image, preprocess, place, out)
        return labels, hashes, []

    return fill


@dataclass
class _Step:
    slot: int | None
    labels: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)


class _Steps:
    """Asks the decoders for units in their order, and puts the answers together to steps."""

    def __init__(self, plan: Plan, slots: Slots, decoders: Sequence[Decoder]) -> None:
        self.plan, self.slots, self.decoders = plan, slots, decoders
        self.unused = slots.free()
        self.lent = set(range(len(slots.arrays))).difference(self.unused)  # whose batches somebody may still look at
        self.begun: dict[int, _Step] = {}
        self.asked: deque[tuple[Decoder, Sequence[Part]]] = deque()
        self.coming = enumerate(zip(plan.units, plan.parts, strict=True))

    def __iter__(self) -> Iterator[Batch]:
        for step, size in enumerate(self.plan.sizes):
            self._ask()
            while size and (step not in self.begun or len(self.begun[step].labels) < size):
                self._take()
                self._ask()
            yield self._batch(self.begun.pop(step, _Step(None)))

    def _ask(self) -> None:
        for number, (unit, mine) in islice(self.coming, max(0, self.plan.shares.ahead - len(self.asked))):
            for part in mine:
                if part.step not in self.begun:
                    self.begun[part.step] = _Step(self._slot())
            decoder = self.decoders[self.plan.shares.of(number, unit.group)]
            decoder.ask([(self.begun[part.step].slot, part.at, part.rows) for part in mine])
            self.asked.append((decoder, mine))

    def _take(self) -> None:
        decoder, mine = self.asked.popleft()
        answer = [iter(values) for values in decoder.answer()]
        for part in mine:
            step = self.begun[part.step]
            for kept, values in zip((step.labels, step.hashes, step.pictures), answer, strict=True):
                kept += islice(values, part.rows)

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
        if len(self.lent) < KEPT:
            self.lent.add(step.slot)
            return images
        self.unused.append(step.slot)
        return images.clone()
