"""Parquet: any types of columns, as Python values. Times are cut to microseconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import ForeignSchema

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 10_000


def read_parquet(path: Path, data: bytes | None = None) -> tuple[list[str], list[Mapping[str, Any] | ValueError]]:
    """The columns and the rows of a file; `data` are its bytes where they do not lie under the path as they are.

    ForeignSchema: no Parquet, or values that Python has not, such as a year beyond 9999.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path if data is None else pa.BufferReader(data)) as file:
            names = list(file.schema_arrow.names)
            if len(set(names)) < len(names):  # the caller names the column
                return names, []
            rows = [row for batch in _simplify(file.read()).to_batches(ROWS_AT_ONCE) for row in batch.to_pylist()]
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        raise ForeignSchema(f"{path}: expected a Parquet file, got one that cannot be read ({error}).") from error
    return names, rows


def _simplify(table: "pa.Table") -> "pa.Table":
    """Casts nanoseconds, which Python has no value for."""
    import pyarrow as pa

    for i, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            wanted = pa.timestamp("us", column.type.tz)
            table = table.set_column(i, column.name, table.column(i).cast(wanted, safe=False))
    return table
