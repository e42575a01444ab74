"""Batches as normalised floats, in memory that is used again: on a CPU fresh memory costs more than the arithmetic."""

import sys
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.documents.card import Preprocess
from inference.model.preprocess import normalise
from training.feed.buffers import UNUSED


class Normaliser:
    """`normalise` as a callable object whose memory is used again once nobody holds the tensor over it."""

    def __init__(self, preprocess: Preprocess) -> None:
        self.preprocess = preprocess
        self.arrays: list[NDArray[np.float32]] = []

    def __call__(self, batch: Tensor) -> Tensor:
        """Normalises [n, 3, H, W], values 0 to 255, to float32 as inference.model.preprocess.normalise does: same bits, same
        layout in memory."""
        if batch.device.type != "cpu" or batch.dim() != 4 or not batch.permute(0, 2, 3, 1).is_contiguous():
            return normalise(batch, self.preprocess)
        count, colours, height, width = batch.shape
        size = prod(batch.shape)
        out = self._find_memory(size)[:size].reshape(count, height, width, colours)
        return normalise(batch, self.preprocess, torch.from_numpy(out).permute(0, 3, 1, 2))

    def _find_memory(self, size: int) -> NDArray[np.float32]:
        unused = [n for n in range(len(self.arrays)) if sys.getrefcount(self.arrays[n]) == UNUSED]
        for n in unused:
            if self.arrays[n].size >= size:
                return self.arrays[n]
        for n in reversed(unused):  # they are too small now, and will be later
            del self.arrays[n]
        # Numpy asks the system for large pages, torch does not.
        self.arrays.append(np.empty(size, np.float32))
        return self.arrays[-1]
