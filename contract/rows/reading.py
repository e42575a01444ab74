"""Rows of a day's raw files, read column by column: a column that a file lacks is null, and a file that cannot be read
is a ForeignSchema, or is named and left out where the caller says so.

Counting has readers of its own (jobs/engines), because it checks every column against its record first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from contract.errors import ForeignSchema
from contract.rows.listing import RowFile, list_rows
from contract.stores.store import Storage

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Row = dict[str, Any]
BATCH_ROWS = 1 << 17  # held in memory at once
TEXTS_AT_ONCE = 1 << 13  # made into Python's texts without a pause for other threads


def rows_where(storage: Storage, table: str, day: str, column: str, values: Collection[str], columns: Sequence[str], *,
               unreadable: list[str] | None, may_hold: Callable[[RowFile], bool] = lambda _: True) -> Iterator[tuple[str, Row]]:
    """Yields (key of the file, row) of the rows of a day whose `column`, as text, is one of `values`.

    A row has exactly `columns`. A file without `column` has no such row. `unreadable` says what becomes of a file that
    cannot be read: None raises ForeignSchema, a list is told its key and the reason, and the other files go on. Files of which
    `may_hold` says False are not read.
    """
    for entry in list_rows(storage, table, day):
        try:
            if not may_hold(entry):
                continue
            for row in _rows_of_file(storage, entry.key, column, values, columns):
                yield entry.key, row
        except ForeignSchema as error:
            if unreadable is None:
                raise
            unreadable.append(f"{entry.key} ({error.__cause__})")


def read_columns(storage: Storage, key: str, columns: Sequence[str], required: Collection[str] = ()) -> pa.Table:
    """Reads those of `columns` that a file has, as they are stored. ForeignSchema: no Parquet, or one `required` lacks."""
    with open_parquet(storage, key) as file:
        there = [name for name in columns if name in file.schema_arrow.names]
        found = file.read(there)
    missing = [name for name in required if name not in there]
    if missing:
        raise ForeignSchema(f"{storage.uri(key)}: expected the columns {', '.join(required)}, {missing[0]} is missing.")
    return found


def read_texts(storage: Storage, key: str, column: str) -> Iterator[list[str]]:
    """Yields the texts of a column of a file, nulls left out, some thousands at a time; none where it has no such column.

    ForeignSchema: it cannot be read.
    """
    import pyarrow as pa

    with open_parquet(storage, key) as file:
        if column in file.schema_arrow.names:
            for batch in file.iter_batches(TEXTS_AT_ONCE, columns=[column]):
                yield batch.column(0).cast(pa.string()).drop_null().to_pylist()


def _rows_of_file(storage: Storage, key: str, column: str, values: Collection[str], columns: Sequence[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(values), pa.string())
    with open_parquet(storage, key) as file:
        there = [name for name in columns if name in file.schema_arrow.names]
        if column not in file.schema_arrow.names:
            return
        for batch in file.iter_batches(BATCH_ROWS, columns=[*dict.fromkeys([*there, column])]):
            mine = pc.is_in(batch.column(column).cast(pa.string()), wanted)
            for row in batch.select(there).filter(mine).to_pylist():
                yield dict.fromkeys(columns) | row


@contextmanager
def open_parquet(storage: Storage, key: str) -> Iterator[pq.ParquetFile]:
    """Opens one file alone: its folder's name would otherwise become a column of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    system, base = storage.arrow()
    try:
        with pq.ParquetFile(f"{base}/{key}", filesystem=system) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        table = key.partition("/")[0]
        raise ForeignSchema(f"{storage.uri(key)}: expected a Parquet file of {table}, got: {error}.") from error
