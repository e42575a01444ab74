"""Rows to batches: pictures decoded by threads straight into the memory of their batch, a few steps ahead, in order.

A batch lies in memory as its decoder writes, pixel by pixel (channels last): cutting a picture out of it and mirroring
it then cost next to nothing (5 and 15 us at 224 px, against 65 in the order of channels). There are few steps, and few of
torch's: each gives Python's lock away and waits for it, while other threads decode.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contract.card import Preprocess
from contract.errors import Mismatch
from inference import preprocess as shared
from training.reader import Sample

AHEAD = 2  # steps that are decoded while one is trained on
CHUNKS = 2  # for each thread in a step, of so many rows at least and at most: fewer calls, and nobody waits long at its end
CHUNK = (4, 16)
MIRRORED = 0.5  # from here up
SCRATCH = 1 << 20  # bytes that each thread keeps for the pixels of a picture, so that no memory is asked for

UNUSED = 3  # references to an array: of the list it is in, of the loop that looks, of the count itself

Windows = Callable[[Sequence[str]], Any]  # image hashes -> [n, 3]: as `cut` takes them
_thread = threading.local()


@dataclass
class Batch:
    """The rows of one step: uint8 [n, 3, H, W], int64 [n], and their image hashes. n may be 0."""

    images: Tensor
    labels: Tensor
    hashes: list[str]


def batches(samples: Iterator[Sample], sizes: Sequence[int], preprocess: Preprocess, threads: int | None = None,
            windows: Windows | None = None) -> Iterator[Batch]:
    """Batches of these sizes; the order and the pixels are those of the rows, whatever the threads do.

    `windows`: cut where it says instead of in the middle (preprocess.crop must be set).
    """
    memory, threads = _Memory(max(sizes, default=0), preprocess.crop), threads or os.cpu_count() or 1
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        waiting: deque[_Step] = deque()
        for size in sizes:
            rows = [next(samples) for _ in range(size)]
            waiting.append(_Step(rows, preprocess, windows, memory.take(size)).start(pool, threads))
            if len(waiting) > AHEAD:
                yield waiting.popleft().batch()
        while waiting:
            yield waiting.popleft().batch()
    for _ in samples:  # ends the reader, which then says whether all rows were there
        raise Mismatch("expected the steps to cover all rows, got more rows. Please report this.")


class _Memory:
    """Arrays [most, side, side, 3] for batches, taken again once nobody holds the tensors over them: fresh memory costs a
    page fault for each 4 kB."""

    def __init__(self, most: int, side: int | None) -> None:
        self.most, self.side = most, side
        self.arrays: list[np.ndarray] = []

    def take(self, rows: int) -> np.ndarray | None:
        """Memory of so many pictures; None where their size is not known beforehand."""
        if self.side is None or not rows:
            return None
        for array in self.arrays:
            if sys.getrefcount(array) == UNUSED:
                return array[:rows]
        self.arrays.append(np.empty((self.most, self.side, self.side, 3), np.uint8))
        return self.arrays[-1][:rows]


@dataclass
class _Step:
    rows: list[Sample]
    preprocess: Preprocess
    windows: Windows | None
    memory: np.ndarray | None  # [n, side, side, 3]
    futures: list[Future] = field(default_factory=list)
    images: Tensor | None = None  # the same memory as [n, 3, side, side]

    def start(self, pool: ThreadPoolExecutor, threads: int) -> "_Step":
        n = len(self.rows)
        chunk = max(CHUNK[0], min(CHUNK[1], n // (CHUNKS * threads)))
        if self.memory is not None:
            self.images = torch.from_numpy(self.memory).permute(0, 3, 1, 2)
        places = self.windows([row.image_sha256 for row in self.rows]) if self.windows and n else None
        self.futures = [pool.submit(self._fill, low, min(low + chunk, n), places) for low in range(0, n, chunk)]
        return self

    def _fill(self, low: int, high: int, places: Any) -> list[Tensor]:
        if self.memory is None:
            return [shared.to_uint8(row.image, self.preprocess) for row in self.rows[low:high]]
        for i in range(low, high):
            self._lay(i, shared.resized(self.rows[i].image, self.preprocess, _scratch()), None if places is None else places[i])
        return []

    def _lay(self, i: int, pixels: np.ndarray, place: Any) -> None:
        side = self.preprocess.crop
        if place is not None and min(pixels.shape[:2]) >= side:
            y, x = corner(*pixels.shape[:2], side, *place[:2])
            part = pixels[y:y + side, x:x + side]
            # Numpy mirrors pixel by pixel, ten times slower than torch.
            np.copyto(self.memory[i], torch.from_numpy(part).flip(1).numpy() if place[2] >= MIRRORED else part)
            return
        picture = torch.from_numpy(pixels).permute(2, 0, 1)
        self.images[i].copy_(shared.center(picture, side) if place is None else cut(picture, side, *place))

    def batch(self) -> Batch:
        made = [image for future in self.futures for image in future.result()]
        images = self.images if self.images is not None else torch.stack(made) if made else None
        self.memory = self.images = None  # whoever has the batch holds its memory, nobody else
        return Batch(torch.empty(0, 3, 1, 1, dtype=torch.uint8) if images is None else images,
                     torch.tensor([row.label_index for row in self.rows], dtype=torch.int64),
                     [row.image_sha256 for row in self.rows])


def cut(pixels: Tensor, side: int, down: float, across: float, mirrored: float) -> Tensor:
    """[3, H, W] -> [3, side, side]: `down` and `across` in [0, 1) say where in the room that there is; mirrored from 0.5
    up. A picture that is smaller is taken from the middle."""
    height, width = pixels.shape[1:]
    if min(height, width) < side:
        part = shared.center(pixels, side)
    else:
        y, x = corner(height, width, side, down, across)
        part = pixels[:, y:y + side, x:x + side]
    return part.flip(2) if mirrored >= MIRRORED else part


def corner(height: int, width: int, side: int, down: float, across: float) -> tuple[int, int]:
    """Where the cut of `cut` begins in a picture that is large enough: row and column."""
    return int(down * (height - side + 1)), int(across * (width - side + 1))


def _scratch() -> np.ndarray:
    if not hasattr(_thread, "memory"):
        _thread.memory = np.empty(SCRATCH, np.uint8)
    return _thread.memory
