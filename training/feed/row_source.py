"""Where the feed's workers get rows from. training.feed.reader.PetastormFiles is one such source."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from contract.documents.manifest import DataFile
from contract.stores.store import Storage
from training.feed.chunks import Chunk


class Row(NamedTuple):
    """The columns of a row that training reads."""

    image_sha256: str
    image: bytes | memoryview  # a view of its row group's memory
    label_index: int


class RowSource(Protocol):
    """Opens files, says how their rows are grouped, and reads them in order. Worker processes get it when they are forked."""

    def prepare(self) -> None:
        """Imports what reading needs, before workers are started."""

    def open(self, storage: Storage, files: Sequence[DataFile]) -> AbstractContextManager[Sequence[Path]]:
        """Returns a context manager that gives the files' local paths."""

    def read_row_groups(self, storage: Storage, file: DataFile, path: Path) -> list[int]:
        """Returns the rows of each row group of a file. Mismatch: it has not the rows of the manifest."""

    def read_chunks(self, paths: Sequence[Path], groups: Sequence[int], chunks: Sequence[Chunk], shard: int,
                    shards: int) -> Iterator[list[Row]]:
        """Yields the rows of each chunk, in order, whose row groups are those with the number `shard` modulo `shards`; `groups`:
        rows of each row group of the files."""
