"""Rows of a dataset in a given order; the one file that reads petastorm.

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
from typing import Any, NamedTuple

import numpy as np

from contract.documents.manifest import DataFile
from contract.errors import Mismatch
from contract.stores.store import Storage
from training.feed.chunks import Unit
from training.feed.world import pieces


class Row(NamedTuple):
    """One row: what training wants of it."""

    image_sha256: str
    image: bytes | memoryview  # of the memory of its row group
    label_index: int


class Sample(NamedTuple):
    """One row: what an assessment wants of it."""

    image_sha256: str
    image: bytes | memoryview  # of the memory of its row group
    label: str
    label_index: int
    origin: str
    day: str
    selection_probability: float | None


def rows(storage: Storage, files: Sequence[DataFile], low: int, high: int) -> Iterator[Sample]:
    """Rows [low, high) of the files laid end to end in the order given. Mismatch when a file has other rows."""
    wanted, skip = spanned(files, low, high)
    left = high - low
    with staged(storage, wanted) as paths:
        for row in chain.from_iterable(_rows(table, Sample) for table in tables(paths, Sample)):
            if skip:
                skip -= 1
                continue
            if not left:
                break
            left -= 1
            yield row
    if left:
        raise Mismatch(_other_rows(f"{storage.uri(wanted[-1].key)} and before", high - low, high - low - left))


def spanned(files: Sequence[DataFile], low: int, high: int) -> tuple[list[DataFile], int]:
    """The files that have rows [low, high) of all laid end to end, and how many rows of the first come before them. Mismatch
    when they have fewer by the manifest."""
    if (have := sum(file.rows for file in files)) < high:
        raise Mismatch(f"expected files of {high} rows at least, got {len(files)} that have {have} rows by the manifest.")
    mine = pieces([file.rows for file in files], low, high)
    return [files[n] for n, _, _ in mine], mine[0][1] if mine else 0


def row_groups(storage: Storage, file: DataFile, path: Path) -> list[int]:
    """Rows of each row group of a file, of which `path` is the local one. Mismatch: not those of the manifest."""
    import pyarrow.parquet as pq

    footer = pq.read_metadata(path)
    if footer.num_rows != file.rows:
        raise Mismatch(_other_rows(storage.uri(file.key), file.rows, footer.num_rows))
    return [footer.row_group(n).num_rows for n in range(footer.num_row_groups)]


def _other_rows(where: str, expected: int, got: int) -> str:
    return (f"{where}: expected {expected} rows by the manifest, got {got}. A file was damaged or replaced; make the "
            f"dataset again.")


def of_units(paths: Sequence[Path], groups: Sequence[int], units: Sequence[Unit], shard: int = 0,
             shards: int = 1) -> Iterator[list[Row]]:
    """The rows of each unit; `groups`: rows of each row group of the files. Units are in order, and their row groups of this
    shard. Mismatch when a row group has other rows."""
    # Petastorm counts empty row groups when it shards, and gives no table for them.
    there = (group for group in range(shard, len(groups), shards) if groups[group])
    numbered = zip(there, tables(paths, Row, shard, shards), strict=False)
    at, found = -1, []
    for unit in units:
        while at < unit.group:
            at, table = next(numbered, (unit.group, None))
            found = list(_rows(table, Row)) if at == unit.group and table is not None else []
        if at != unit.group or len(found) != groups[at]:
            raise Mismatch(_other_rows(f"row group {unit.group} of the files from {paths[0]} on", groups[unit.group], len(found)))
        yield found[unit.low:unit.high]


def tables(paths: Sequence[Path], kind: type[Row] | type[Sample], shard: int = 0, shards: int = 1) -> Iterator[Any]:
    """Row groups as Arrow tables of these columns, in order; of several shards those whose number is `shard` modulo `shards`."""
    if not paths:
        return
    ready()
    from petastorm import make_batch_reader

    opened = make_batch_reader([f"file://{path}" for path in paths], reader_pool_type="dummy",
                               shuffle_row_groups=False, filesystem=_arrows_files(),
                               schema_fields=[f"^{name}$" for name in kind._fields],
                               cur_shard=shard if shards > 1 else None, shard_count=shards if shards > 1 else None)
    _all_listed(opened.ventilator)
    opened._results_queue_reader = _Tables()
    with opened as reader:
        yield from reader


def _rows(table: Any, kind: type) -> Iterator[Any]:
    for group in table.to_batches():
        yield from map(kind, *(_values(group.column(name)) for name in kind._fields))


@cache
def ready() -> None:
    """All that reading needs is imported when this returns."""
    # Petastorm uses pyarrow's legacy API throughout, also while it reads.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"petastorm\b")
    importlib.import_module("petastorm")
    _arrows_files()


class _Tables:
    """What Petastorm's reader takes its results by: gives the table of each row group as it is."""

    batched_output = True

    def read_next(self, pool: Any, _schema: Any, _ngram: Any) -> Any:
        from petastorm.workers_pool import EmptyResultError

        try:
            return pool.get_results()
        except EmptyResultError:
            raise StopIteration from None


def _values(column: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_binary(column.type):
        _, offsets, data = column.buffers()
        ends, whole = np.frombuffer(offsets, np.int32)[column.offset:column.offset + len(column) + 1], memoryview(data).cast("B")
        return [whole[low:high] for low, high in pairwise(ends.tolist())]
    values = column.to_numpy(zero_copy_only=False).tolist()  # by far faster than `to_pylist`
    return [None if v != v else v for v in values] if pa.types.is_floating(column.type) else values


@cache
def _arrows_files() -> Any:
    """Local files as Arrow opens them: Python's own are read, and copied once more, while no other thread may run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy interface, which is Petastorm's
        from pyarrow import OSFile
        from pyarrow.filesystem import LocalFileSystem

        class Files(LocalFileSystem):
            def open(self, path: str, mode: str = "rb") -> Any:
                return OSFile(path, mode)

        return Files()


def _all_listed(ventilator: Any) -> None:
    """Petastorm lists three row groups at a time, and who finds the list empty sleeps for a tenth of a second. So all are
    listed before the first is read."""
    ventilator._max_ventilation_queue_size = sys.maxsize
    while not ventilator.completed():
        time.sleep(0.001)


class staged:  # noqa: N801  (used like a function)
    """The files as local paths: a folder's own, or copies of S3 objects (checked) that are removed afterwards.

    Petastorm's own S3 access does not work with our pyarrow. A copy is one request, and its sha256 is known before the
    first row is used.
    """

    def __init__(self, storage: Storage, files: Sequence[DataFile]) -> None:
        self.storage, self.files = storage, files
        self.folder: str | None = None

    def __enter__(self) -> list[Path]:
        if not self.storage.root.startswith("s3"):
            return [self.storage.path(f.key) for f in self.files]
        self.folder = tempfile.mkdtemp(prefix="trueup-read-")
        return [self._copy(n, f) for n, f in enumerate(self.files)]

    def _copy(self, n: int, file: DataFile) -> Path:
        data = self.storage.read(file.key)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise Mismatch(f"{self.storage.uri(file.key)}: expected the sha256 {file.sha256} of the manifest, got another. "
                           f"The file was damaged or replaced; make the dataset again.")
        path = Path(self.folder or "", f"{n:05d}.parquet")
        path.write_bytes(data)
        return path

    def __exit__(self, *_: object) -> None:
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
