"""Memory of batches that workers decode into: allocated before workers start, so that processes share it."""

import mmap
import sys
from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray


def _count_unused() -> int:
    held = [object()]
    return sys.getrefcount(held[0])


UNUSED = _count_unused()  # references to an array that nobody uses; what a call itself holds differs between Pythons


class BatchBuffers:
    """`count` buffers of `rows` uint8 pictures of one shape.

    A buffer is used again once nobody holds an array or tensor over it.
    """

    def __init__(self, count: int, rows: int, shape: Sequence[int]) -> None:
        self.count = count
        self.rows = rows
        self.shape = tuple(shape)
        size = rows * prod(shape)
        # Anonymous memory is no file: no limit of /dev/shm (64 MB in a container) holds for it, and it ends with its
        # processes.
        memory = mmap.mmap(-1, max(1, count * size))
        self.arrays = [np.frombuffer(memory, np.uint8, size, n * size) for n in range(count if size else 0)]

    def find_unused(self) -> list[int]:
        """Returns the numbers of the buffers that nobody uses."""
        return [n for n in range(len(self.arrays)) if sys.getrefcount(self.arrays[n]) == UNUSED]

    def view(self, number: int, first: int, rows: int) -> NDArray[np.uint8]:
        """Returns pictures [first, first + rows) of buffer `number` as uint8 [rows, *shape], without a copy."""
        size = prod(self.shape)
        return self.arrays[number][first * size:(first + rows) * size].reshape(rows, *self.shape)
