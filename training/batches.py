"""Rows to batches: pictures decoded by threads straight into the memory of their batch, a few steps ahead, in order.

A batch lies in memory as its decoder writes, pixel by pixel (channels last): cutting a picture out of it and mirroring
it then cost next to nothing (5 and 15 us at 224 px, against 65 in the order of channels).
"""

import os
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
CHUNK = 8  # rows that a thread takes at once
SCRATCH = 1 << 20  # bytes that each thread keeps for the pixels of a picture, so that no memory is asked for

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
    with ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="decode") as pool:
        waiting: deque[_Step] = deque()
        for size in sizes:
            waiting.append(_Step([next(samples) for _ in range(size)], preprocess, windows).start(pool))
            if len(waiting) > AHEAD:
                yield waiting.popleft().batch()
        while waiting:
            yield waiting.popleft().batch()
    for _ in samples:  # ends the reader, which then says whether all rows were there
        raise Mismatch("expected the steps to cover all rows, got more rows. Please report this.")


@dataclass
class _Step:
    rows: list[Sample]
    preprocess: Preprocess
    windows: Windows | None
    futures: list[Future] = field(default_factory=list)
    images: Tensor | None = None

    def start(self, pool: ThreadPoolExecutor) -> "_Step":
        side, n = self.preprocess.crop, len(self.rows)
        if side is not None and n:
            self.images = torch.empty(n, side, side, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
        places = self.windows([row.image_sha256 for row in self.rows]) if self.windows and n else None
        self.futures = [pool.submit(self._fill, low, min(low + CHUNK, n), places) for low in range(0, n, CHUNK)]
        return self

    def _fill(self, low: int, high: int, places: Any) -> list[Tensor]:
        return [self._one(i, None if places is None else places[i]) for i in range(low, high)]

    def _one(self, i: int, place: Any) -> Tensor:
        if self.images is None:
            return shared.to_uint8(self.rows[i].image, self.preprocess)
        pixels = shared.resized(self.rows[i].image, self.preprocess, _scratch())
        crop = self.preprocess.crop
        return self.images[i].copy_(shared.center(pixels, crop) if place is None else cut(pixels, crop, *place))

    def batch(self) -> Batch:
        made = [image for future in self.futures for image in future.result()]
        images = self.images if self.images is not None else torch.stack(made) if made else None
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
        y, x = int(down * (height - side + 1)), int(across * (width - side + 1))
        part = pixels[:, y:y + side, x:x + side]
    return part.flip(2) if mirrored >= 0.5 else part


def _scratch() -> np.ndarray:
    if not hasattr(_thread, "memory"):
        _thread.memory = np.empty(SCRATCH, np.uint8)
    return _thread.memory
