"""The tables of an evaluation for SQL: copied under their partitions, and as CSV on request.

    tables/<table>/model=<model>/evaluation=<id>/rows.parquet

    SELECT * FROM read_parquet('ROOT/tables/per_class/*/*/*.parquet', hive_partitioning = true)      -- DuckDB
"""

import csv
import io
from pathlib import Path
from typing import Any

from contract import layout
from contract.stores.store import Storage

# A spreadsheet takes a text that begins with one of these for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def copy(storage: Storage, model: str, evaluation_id: str) -> list[str]:
    """Puts every table of the evaluation under its partition; returns their keys."""
    made = []
    for name, key in _tables(storage, model, evaluation_id).items():
        made.append(layout.sql_table(name, model, evaluation_id))
        storage.put(made[-1], storage.read(key))
    return made


def write_csv(storage: Storage, model: str, evaluation_id: str, folder: Path) -> list[str]:
    """Writes every table as `<table>.csv` into a folder on this machine; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, key in _tables(storage, model, evaluation_id).items():
        file = folder / f"{name}.csv"
        file.write_text(convert_to_csv(storage.read(key)), encoding="utf-8", newline="")
        made.append(str(file))
    return made


def convert_to_csv(parquet: bytes) -> str:
    """A Parquet table as CSV. Texts that a spreadsheet would take for a formula are prefixed with '."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(parquet))
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(table.column_names)
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        writer.writerow([make_harmless(value) for value in row])
    return sink.getvalue()


def make_harmless(value: Any) -> Any:
    """The value; a text that looks like a formula is prefixed with '."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA) else value


def _tables(storage: Storage, model: str, evaluation_id: str) -> dict[str, str]:
    """Table -> key of the Parquet files beside an evaluation."""
    folder = layout.evaluation(model, evaluation_id)
    keys = sorted(entry.key for entry in storage.list(folder) if entry.key.endswith(".parquet"))
    return {key.removeprefix(folder).removesuffix(".parquet"): key for key in keys}
