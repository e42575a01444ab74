"""Reads rows of a dataset in a given order; the one file that reads petastorm.

Files are opened by a list of URLs. So no `_common_metadata` is opened (it holds a pickle), and the order is ours:
Petastorm's own sharding cannot give equal steps, and its thread pools give no order. Row groups are taken as the Arrow
tables that Petastorm read: it would make pandas objects of them, a copy of each picture while no other thread may run.
"""

import hashlib
import importlib
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from contract.documents.manifest import DataFile
from contract.errors import Mismatch
from contract.stores.local import LocalStorage
from contract.stores.recorded import unwrap
from contract.stores.store import Storage
from training.feed.chunks import Chunk
from training.feed.row_source import Row
from training.feed.world import split_range

if TYPE_CHECKING:
    import pyarrow as pa


class Sample(NamedTuple):
    """The columns of a row that an assessment reads."""

    image_sha256: str
    image: bytes | memoryview  # a view of its row group's memory
    label: str
    label_index: int
    origin: str
    day: str
    selection_probability: float | None


Kind = TypeVar("Kind", Row, Sample)


def read_rows(storage: Storage, files: Sequence[DataFile], low: int, high: int) -> Iterator[Sample]:
    """Yields rows [low, high) of the files laid end to end in the order given. Mismatch: a file has other rows than the
    manifest says."""
    selected, skip = select_files(files, low, high)
    left = high - low
    with LocalFiles(storage, selected) as paths:
        for row in chain.from_iterable(_table_rows(table, Sample) for table in read_tables(paths, Sample)):
            if skip:
                skip -= 1
                continue
            if not left:
                break
            left -= 1
            yield row
    if left:
        raise Mismatch(_other_rows(f"{storage.uri(selected[-1].key)} and before", high - low, high - low - left))


def select_files(files: Sequence[DataFile], low: int, high: int) -> tuple[list[DataFile], int]:
    """Returns the files that hold rows [low, high) of all laid end to end, and the number of rows of the first one that come
    before row `low`. Mismatch: the files have fewer rows by the manifest."""
    if (rows := sum(file.rows for file in files)) < high:
        raise Mismatch(f"expected files of {high} rows at least, got {len(files)} that have {rows} rows by the manifest.")
    ranges = split_range([file.rows for file in files], low, high)
    return [files[n] for n, _, _ in ranges], ranges[0][1] if ranges else 0


def read_row_groups(storage: Storage, file: DataFile, path: Path) -> list[int]:
    """Returns the rows of each row group of a file, whose local copy is at `path`. Mismatch: it has not the rows of the
    manifest."""
    import pyarrow.parquet as pq

    footer = pq.read_metadata(path)
    if footer.num_rows != file.rows:
        raise Mismatch(_other_rows(storage.uri(file.key), file.rows, footer.num_rows))
    return [footer.row_group(n).num_rows for n in range(footer.num_row_groups)]


def _other_rows(where: str, expected: int, got: int) -> str:
    return (f"{where}: expected {expected} rows by the manifest, got {got}. A file was damaged or replaced; make the "
            f"dataset again.")


def read_chunks(paths: Sequence[Path], groups: Sequence[int], chunks: Sequence[Chunk], shard: int = 0,
                shards: int = 1) -> Iterator[list[Row]]:
    """Yields the rows of each chunk; chunks are in order, and their row groups belong to this shard.

    `groups`: rows of each row group of the files. Mismatch: a row group has other rows.
    """
    # Petastorm counts empty row groups when it shards, and gives no table for them.
    numbers = (group for group in range(shard, len(groups), shards) if groups[group])
    numbered_tables = zip(numbers, read_tables(paths, Row, shard, shards), strict=False)
    group, rows = -1, []
    for chunk in chunks:
        while group < chunk.group:
            group, table = next(numbered_tables, (chunk.group, None))
            rows = list(_table_rows(table, Row)) if group == chunk.group and table is not None else []
        if group != chunk.group or len(rows) != groups[group]:
            where = f"row group {chunk.group} of the files from {paths[0]} on"
            raise Mismatch(_other_rows(where, groups[chunk.group], len(rows)))
        yield rows[chunk.low:chunk.high]


def read_tables(paths: Sequence[Path], kind: type[Row] | type[Sample], shard: int = 0,
                shards: int = 1) -> "Iterator[pa.Table]":
    """Yields row groups in order, as Arrow tables of the columns of `kind`; of several shards those whose number is `shard`
    modulo `shards`."""
    if not paths:
        return
    import_petastorm()
    from petastorm import make_batch_reader

    reader = make_batch_reader([f"file://{path}" for path in paths], reader_pool_type="dummy",
                               shuffle_row_groups=False, filesystem=_arrow_filesystem(),
                               schema_fields=[f"^{name}$" for name in kind._fields],
                               cur_shard=shard if shards > 1 else None, shard_count=shards if shards > 1 else None)
    _list_all_row_groups(reader.ventilator)
    reader._results_queue_reader = _TableResults()
    with reader:
        yield from reader


def _table_rows(table: "pa.Table", kind: type[Kind]) -> Iterator[Kind]:
    for batch in table.to_batches():
        yield from map(kind, *(_to_values(batch.column(name)) for name in kind._fields))


@cache
def import_petastorm() -> None:
    """Imports all that reading needs, once."""
    # Petastorm uses pyarrow's legacy API throughout, also while it reads.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"petastorm\b")
    importlib.import_module("petastorm")
    _arrow_filesystem()


class _TableResults:
    """Stands for the object by which Petastorm's reader takes its results: gives the table of each row group as it is."""

    batched_output = True

    def read_next(self, pool: Any, _schema: Any, _ngram: Any) -> "pa.Table":
        from petastorm.workers_pool import EmptyResultError

        try:
            return pool.get_results()
        except EmptyResultError:
            raise StopIteration from None


def _to_values(column: "pa.Array") -> list[Any]:
    """Converts a column to Python values: binary ones to memoryviews without a copy, NaN to None."""
    import pyarrow as pa

    if pa.types.is_binary(column.type):
        _, offsets, data = column.buffers()
        ends = np.frombuffer(offsets, np.int32)[column.offset:column.offset + len(column) + 1]
        whole = memoryview(data).cast("B")
        return [whole[low:high] for low, high in pairwise(ends.tolist())]
    values = column.to_numpy(zero_copy_only=False).tolist()  # by far faster than `to_pylist`
    return [None if v != v else v for v in values] if pa.types.is_floating(column.type) else values


@cache
def _arrow_filesystem() -> Any:
    """Returns a file system that opens local files as Arrow does: Python's own are read, and copied once more, while no other
    thread may run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy interface, which is Petastorm's
        from pyarrow import OSFile
        from pyarrow.filesystem import LocalFileSystem

        class ArrowFileSystem(LocalFileSystem):
            def open(self, path: str, mode: str = "rb") -> Any:
                return OSFile(path, mode)

        return ArrowFileSystem()


def _list_all_row_groups(ventilator: Any) -> None:
    """Makes Petastorm list all row groups before the first is read: it lists three at a time, and sleeps for a tenth of a
    second when it finds the list empty."""
    ventilator._max_ventilation_queue_size = sys.maxsize
    while not ventilator.completed():
        time.sleep(0.001)


class PetastormFiles:
    """The rows of a dataset's files, as a training.feed.row_source.RowSource."""

    def prepare(self) -> None:
        """Imports Petastorm."""
        import_petastorm()

    def open(self, storage: Storage, files: Sequence[DataFile]) -> "LocalFiles":
        """Returns a context manager that gives the files' local paths."""
        return LocalFiles(storage, files)

    def read_row_groups(self, storage: Storage, file: DataFile, path: Path) -> list[int]:
        """As the function of this name."""
        return read_row_groups(storage, file, path)

    def read_chunks(self, paths: Sequence[Path], groups: Sequence[int], chunks: Sequence[Chunk], shard: int = 0,
                    shards: int = 1) -> Iterator[list[Row]]:
        """As the function of this name."""
        return read_chunks(paths, groups, chunks, shard, shards)


class LocalFiles:
    """Context manager: the files as local paths, a folder's own, or copies of S3 objects (checked) that are removed afterwards.

    Petastorm's own S3 access does not work with our pyarrow. A copy is one request, and its sha256 is known before the
    first row is used.
    """

    def __init__(self, storage: Storage, files: Sequence[DataFile]) -> None:
        self.storage = storage
        self.files = files
        self.folder: str | None = None

    def __enter__(self) -> list[Path]:
        if isinstance(store := unwrap(self.storage), LocalStorage):
            return [store.path(file.key) for file in self.files]
        self.folder = tempfile.mkdtemp(prefix="trueup-read-")
        return [self._copy(file, Path(self.folder, f"{n:05d}.parquet")) for n, file in enumerate(self.files)]

    def _copy(self, file: DataFile, path: Path) -> Path:
        data = self.storage.read(file.key)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise Mismatch(f"{self.storage.uri(file.key)}: expected the sha256 {file.sha256} of the manifest, got another. "
                           f"The file was damaged or replaced; make the dataset again.")
        path.write_bytes(data)
        return path

    def __exit__(self, *_: object) -> None:
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
