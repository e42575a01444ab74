"""Rows to batches: pictures decoded straight into the memory of their batch, some steps ahead, in order.

The rows are cut into units (row groups). Decoders take them by turns: each reads its own row groups, decodes, and answers
with labels and hashes; pictures never pass between processes.
"""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contract.card import Preprocess
from contract.manifest import DataFile
from contract.storage import Storage
from inference import preprocess as shared
from training import reader
from training.decoders import Decoder, Fill, decoders
from training.lay import lay
from training.slots import Slots
from training.units import Part, Shares, Unit, parts, shares, units

UNIT = 64  # rows that a decoder does at a time, at most
WHOLE = 256  # rows up to which a row group is one decoder's: memory is held for one of each decoder
KEPT = 3  # batches that may be held while others are made; of more, whoever holds them gets copies
FORK_FROM = 4000  # rows from which processes, which take longer to start, are faster than threads

Windows = Callable[[Sequence[str]], Any]  # image hashes -> [n, 3]: as training.lay.cut takes them
Task = list[tuple[int, int, int]]  # slot, first place in it, rows


@dataclass
class Batch:
    """The rows of one step: uint8 [n, 3, H, W], int64 [n], and their image hashes. n may be 0."""

    images: Tensor
    labels: Tensor
    hashes: list[str]


def batches(storage: Storage, files: Sequence[DataFile], low: int, sizes: Sequence[int], preprocess: Preprocess,
            threads: int | None = None, windows: Windows | None = None, forked: bool | None = None) -> Iterator[Batch]:
    """Batches of these sizes from row `low` of the files laid end to end; the same for any number of threads.

    `windows`: cut where it says instead of in the middle (preprocess.crop must be set). `forked`: decode in processes
    instead of threads; by default where that pays. Mismatch: the files have other rows than the manifest says. RankGone: a
    process was killed.
    """
    wanted, skip = reader.spanned(files, low, low + sum(sizes))
    with reader.staged(storage, wanted) as paths:
        plan = _Plan.of(paths, reader.row_groups(storage, wanted, paths), skip, sizes, threads or os.cpu_count() or 1)
        slots = plan.slots(preprocess.crop)
        if forked is None:
            forked = sum(sizes) >= FORK_FROM and sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()
        _import()
        tasks = [len(plan.of_decoder(number)) for number in range(plan.shares.decoders)]
        with decoders(lambda number: _filler(plan, number, preprocess, windows, slots), tasks, forked) as found:
            yield from _Feed(plan, slots, found)


def _import() -> None:
    """What decoders need, once and for all of them."""
    import simplejpeg  # noqa: F401

    reader.ready()
    shared.quick_torchvision.ready()


@dataclass(frozen=True)
class _Plan:
    paths: Sequence[Path]
    sizes: Sequence[int]
    units: list[Unit]
    parts: list[list[Part]]
    shares: Shares

    @classmethod
    def of(cls, paths: Sequence[Path], groups: Sequence[int], skip: int, sizes: Sequence[int], threads: int) -> "_Plan":
        found = units(groups, skip, skip + sum(sizes), UNIT)
        return cls(paths, sizes, found, parts([unit.rows for unit in found], sizes), shares(found, WHOLE, threads))

    def of_decoder(self, number: int) -> list[Unit]:
        return [unit for n, unit in enumerate(self.units) if self.shares.of(n, unit.group) == number]

    def slots(self, side: int | None) -> Slots:
        """Memory for the steps that units asked for and the one answered last can fill, for one that earlier units began, and
        for those that are kept."""
        ends = [(mine[0].step, mine[-1].step) for mine in self.parts]
        most = max((ends[min(n + self.shares.ahead, len(ends) - 1)][1] - low + 1 for n, (low, _) in enumerate(ends)), default=0)
        return Slots(min(most + 1 + KEPT, len(self.sizes)), max(self.sizes, default=0), (side or 0, side or 0, 3))


def _filler(plan: _Plan, number: int, preprocess: Preprocess, windows: Windows | None, slots: Slots) -> Fill:
    """For one decoder: a task fills its next unit; the answer is labels, hashes, and pictures that have no slot."""
    whole = plan.shares.whole
    units_ = reader.of_units(plan.paths, plan.of_decoder(number), number if whole else 0, plan.shares.decoders if whole else 1)
    units_ = chain([next(units_)], units_)  # opens the files now, while others are begun

    def fill(task: Task) -> tuple[list[int], list[str], list[np.ndarray]]:
        rows = next(units_)
        hashes = [row.image_sha256 for row in rows]
        if preprocess.crop is None:
            return [row.label_index for row in rows], hashes, [shared.to_uint8(row.image, preprocess).numpy() for row in rows]
        places = windows(hashes) if windows else [None] * len(rows)
        outs = (out for slot, at, n in task for out in slots.view(slot, at, n))
        for row, place, out in zip(rows, places, outs, strict=True):
            lay(row.image, preprocess, place, out)
        return [row.label_index for row in rows], hashes, []

    return fill


@dataclass
class _Step:
    slot: int | None
    labels: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)


class _Feed:
    """Asks the decoders for units in their order, and puts the answers together to steps."""

    def __init__(self, plan: _Plan, slots: Slots, found: Sequence[Decoder]) -> None:
        self.plan, self.slots, self.decoders = plan, slots, found
        self.ready = list(range(len(slots.arrays)))  # slots without a step
        self.lent: set[int] = set()  # slots that whoever took their batch may still look at
        self.steps: dict[int, _Step] = {}
        self.asked: deque[tuple[Decoder, list[Part]]] = deque()
        self.coming = enumerate(zip(plan.units, plan.parts, strict=True))

    def __iter__(self) -> Iterator[Batch]:
        for step, size in enumerate(self.plan.sizes):
            self._ask()
            while size and (step not in self.steps or len(self.steps[step].labels) < size):
                self._take()
                self._ask()
            yield self._batch(self.steps.pop(step, _Step(None)))

    def _ask(self) -> None:
        for number, (unit, mine) in islice(self.coming, max(0, self.plan.shares.ahead - len(self.asked))):
            for part in mine:
                if part.step not in self.steps:
                    self.steps[part.step] = _Step(self._slot())
            decoder = self.decoders[self.plan.shares.of(number, unit.group)]
            decoder.ask([(self.steps[part.step].slot, part.at, part.rows) for part in mine])
            self.asked.append((decoder, mine))

    def _take(self) -> None:
        decoder, mine = self.asked.popleft()
        answer = [iter(values) for values in decoder.answer()]
        for part in mine:
            step = self.steps[part.step]
            for kept, values in zip((step.labels, step.hashes, step.pictures), answer, strict=True):
                kept += islice(values, part.rows)

    def _slot(self) -> int | None:
        if not self.slots.arrays:
            return None
        self._reclaim()
        return self.ready.pop()

    def _reclaim(self) -> None:
        free = self.lent.intersection(self.slots.free()) if self.lent else set()
        self.lent -= free
        self.ready += free

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
        self.ready.append(step.slot)
        return images.clone()
