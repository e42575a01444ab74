"""Raw files as pyarrow reads them: its column names are exact, its casts ours to choose, and it keeps dictionaries."""

from collections.abc import Container, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as t
from pyarrow.fs import FileSystem

from contract.records import TableSchema, arrow_type
from jobs.engines.arrays import join_chunks
from jobs.engines.question import RawFile

BATCH_ROWS = 122_880  # DuckDB's own row group


def is_null(kind: pa.DataType | None) -> bool:
    """Says whether a column of this type, or None for a missing one, holds no value."""
    return kind is None or t.is_null(kind)


def read_words(system: FileSystem, files: Sequence[tuple[str, RawFile]], record: TableSchema,
               columns: Sequence[str]) -> list[pa.ChunkedArray]:
    """Reads text columns of some files (path, file), one after another, as dictionary arrays; the chunks of a column share one
    dictionary.

    Parquet stores texts that recur in dictionaries already. Raises ArrowInvalid for bytes that are no UTF-8.
    """
    tables = [_read_file_words(system, path, record, file, columns) for path, file in files]
    kind = pa.dictionary(pa.int32(), pa.string())
    return [pa.chunked_array([a for table in tables for a in table[c]], kind).unify_dictionaries() for c in columns]


def _read_file_words(system: FileSystem, path: str, record: TableSchema, file: RawFile,
                     columns: Sequence[str]) -> dict[str, list[pa.DictionaryArray]]:
    some = [c for c in columns if not is_null(file.columns.get(c))]
    with pq.ParquetFile(path, filesystem=system, read_dictionary=some) as parquet:
        table, rows = parquet.read(columns=some, use_threads=False), parquet.metadata.num_rows
    found = {c: [_encode(a, arrow_type(record.field(c).type)) for a in table[c].chunks] for c in some}
    return {c: found.get(c, [pa.nulls(rows, pa.dictionary(pa.int32(), pa.string()))]) for c in columns}


def _encode(column: pa.Array, wanted: pa.DataType) -> pa.DictionaryArray:
    """Makes a column a dictionary of the wanted type, and checks its texts."""
    if not (pa.types.is_dictionary(column.type) and column.type.value_type == wanted):
        column = convert(column, wanted).dictionary_encode()
    column.dictionary.validate(full=True)
    return column


def read_batches(system: FileSystem, path: str, record: TableSchema, file: RawFile,
                 wanted: Container[str]) -> pa.RecordBatchReader:
    """Streams the wanted columns of one file, in the record's own types, as batches."""
    columns = [n for n, found in file.columns.items() if n in wanted and not is_null(found)]
    kinds = {n: record.field(n).type for n in columns}
    schema = pa.schema([pa.field(n, pa.list_(pa.float64()) if k == "list<float>" else arrow_type(k))
                        for n, k in kinds.items()])

    def batches() -> Iterator[pa.RecordBatch]:
        # Times in INT96 reach further than Arrow's nanoseconds.
        with pq.ParquetFile(path, filesystem=system, pre_buffer=True, coerce_int96_timestamp_unit="us") as parquet:
            for group in range(parquet.num_row_groups):  # Arrow cannot read lists of dictionaries across row groups
                for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False):
                    yield pa.record_batch([convert(batch.column(n), schema.field(n).type) for n in columns], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def convert_table(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Converts stored rows to the columns of a schema (types of the record); a column that the table lacks is null."""
    made = [convert(join_chunks(table[f.name]), f.type) if f.name in table.column_names else pa.nulls(table.num_rows, f.type)
            for f in schema]
    return pa.table(made, schema=schema)


def convert(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Converts a stored column to the record's type; nanoseconds are rounded down, also before 1970."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        nanoseconds = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        missing = column.is_null().to_numpy(zero_copy_only=False)
        return pa.array(np.floor_divide(nanoseconds, 1000), mask=missing).cast(wanted)
    return column if column.type == wanted else column.cast(wanted)
