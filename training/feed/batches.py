"""What the loop takes its rows from: batches in order, whoever makes them.

training.feed.feed.Feed, over a dataset's Petastorm files, is one such source; pictures in memory are another. Nothing here
or in the loop needs Petastorm.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from contract.documents.manifest import DataFile
from training.feed.plan import CropWindows


@dataclass
class Batch:
    """The rows of one step: uint8 [n, 3, H, W], int64 [n], and their image hashes. n may be 0."""

    images: Tensor
    labels: Tensor
    hashes: list[str]


class BatchSource(Protocol):
    """Makes batches of any rows, epoch after epoch, until it is closed."""

    def batches(self, files: Sequence[DataFile], low: int, sizes: Sequence[int],
                windows: CropWindows | None = None) -> Generator[Batch, None, None]:
        """Yields batches of `sizes` rows from row `low` of the files laid end to end; `windows` says where to crop each."""

    def close(self) -> None:
        """Frees what it holds; it may be asked again."""
