"""Raw files as pyarrow reads them: its column names are exact, its casts ours to choose, and it keeps words as codes."""

from collections.abc import Container, Iterator, Sequence
from typing import Any

from contract.records import TableSchema, arrow_type
from jobs.engines.question import RawFile

BATCH_ROWS = 122_880  # DuckDB's own row group


def is_null(found: Any) -> bool:
    """Whether a column of this pyarrow type, or None for a missing one, holds no value."""
    import pyarrow.types as t

    return found is None or t.is_null(found)


def coded(system: Any, files: Sequence[tuple[str, RawFile]], record: TableSchema, columns: Sequence[str]) -> list[Any]:
    """Text columns of some files (path, file), rows one after another, as Arrow dictionaries of one set of words each.

    Parquet holds words that recur as codes already. Raises ArrowInvalid for bytes that are no UTF-8.
    """
    import pyarrow as pa

    parts = [_coded(system, path, record, file, columns) for path, file in files]
    kind = pa.dictionary(pa.int32(), pa.string())
    return [pa.chunked_array([a for p in parts for a in p[c]], kind).unify_dictionaries() for c in columns]


def _coded(system: Any, path: str, record: TableSchema, file: RawFile, columns: Sequence[str]) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    some = [c for c in columns if not is_null(file.columns.get(c))]
    with pq.ParquetFile(path, filesystem=system, read_dictionary=some) as parquet:
        read, rows = parquet.read(columns=some, use_threads=False), parquet.metadata.num_rows
    found = {c: [_as_coded(a, arrow_type(record.field(c).type)) for a in read[c].chunks] for c in some}
    return {c: found.get(c, [pa.nulls(rows, pa.dictionary(pa.int32(), pa.string()))]) for c in columns}


def _as_coded(column: Any, wanted: Any) -> Any:
    import pyarrow as pa

    if not (pa.types.is_dictionary(column.type) and column.type.value_type == wanted):
        column = as_ours(column, wanted).dictionary_encode()
    column.dictionary.validate(full=True)
    return column


def read(system: Any, path: str, record: TableSchema, file: RawFile, wanted: Container[str]) -> Any:
    """The wanted columns of one file, in the record's own types, as a stream of batches."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [n for n, found in file.columns.items() if n in wanted and not is_null(found)]
    kinds = {n: record.field(n).type for n in columns}
    schema = pa.schema([pa.field(n, pa.list_(pa.float64()) if k == "list<float>" else arrow_type(k))
                        for n, k in kinds.items()])

    def batches() -> Iterator[Any]:
        # Parquet's old times reach further than Arrow's nanoseconds.
        with pq.ParquetFile(path, filesystem=system, pre_buffer=True, coerce_int96_timestamp_unit="us") as parquet:
            for group in range(parquet.num_row_groups):  # of lists of dictionaries Arrow reads no two together
                for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False):
                    yield pa.record_batch([as_ours(batch.column(n), schema.field(n).type) for n in columns], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def as_ours(column: Any, wanted: Any) -> Any:
    """A column in the record's type; nanoseconds are rounded down, also before 1970."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        numbers = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        missing = column.is_null().to_numpy(zero_copy_only=False)
        return pa.array(np.floor_divide(numbers, 1000), mask=missing).cast(wanted)
    return column if column.type == wanted else column.cast(wanted)
