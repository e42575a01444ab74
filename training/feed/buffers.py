"""Memory of batches that decoders fill: made before they are, so that processes have it in common."""

import mmap
import sys
from collections.abc import Sequence
from math import prod

import numpy as np

UNUSED = 2  # references to an array: of the list it is in, of the count itself


class Slots:
    """`count` places for `rows` pictures of one shape; each is taken again once nobody holds an array or tensor over it."""

    def __init__(self, count: int, rows: int, shape: Sequence[int]) -> None:
        self.count, self.rows, self.shape = count, rows, tuple(shape)
        size = rows * prod(shape)
        # Anonymous memory is no file: no limit of /dev/shm (64 MB in a container) holds for it, and it ends with its processes.
        memory = mmap.mmap(-1, max(1, count * size))
        self.arrays = [np.frombuffer(memory, np.uint8, size, n * size) for n in range(count if size else 0)]

    def free(self) -> list[int]:
        """Numbers of the slots that nobody uses."""
        return [n for n in range(len(self.arrays)) if sys.getrefcount(self.arrays[n]) == UNUSED]

    def view(self, slot: int, low: int, rows: int) -> np.ndarray:
        """uint8 [rows, *shape] from picture `low` on."""
        size = prod(self.shape)
        return self.arrays[slot][low * size:(low + rows) * size].reshape(rows, *self.shape)
