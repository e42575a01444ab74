"""The rows that lie in a root, in the order of its files."""

import pyarrow as pa
import pyarrow.parquet as pq

from contract.storage import open_storage


def read_rows(root: str, table: str) -> list[dict]:
    """All rows of `predictions` or `labels`, each with the `day` that it lies under."""
    storage = open_storage(root)
    return [row | {"day": entry.key.split("/")[1].removeprefix("dt=")} for entry in storage.list(f"{table}/")
            if entry.key.endswith(".parquet") for row in pq.read_table(pa.BufferReader(storage.read(entry.key))).to_pylist()]
