"""Writes labels: a table, and class folders with their pictures, as `trueup import images` reads them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from contract.errors import NotFound, UsageError
from contract.stores.store import Storage, may_be_key
from inference.model import class_folders
from jobs.accepting.rows import COLUMNS, Row

AT_ONCE = 10_000  # rows


@contextmanager
def open_table(path: Path) -> Iterator[Any]:
    """Opens a table of COLUMNS for writing, CSV or Parquet by its ending; it is there only once it is whole. UsageError."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    schema = pa.schema([(name, pa.float64() if name == "confidence" else pa.string()) for name in COLUMNS])
    makers = {".csv": csv.CSVWriter, ".parquet": parquet.ParquetWriter}
    if path.suffix.lower() not in makers:
        raise UsageError(f"--out {path}: expected a name that ends in {' or '.join(makers)}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with makers[path.suffix.lower()](unfinished, schema) as writer:
            yield Table(writer, schema)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


class Table:
    """A table whose rows are buffered and written in batches."""

    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer, self._schema = writer, schema
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Adds a row."""
        self._rows.append(row)
        if len(self._rows) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Writes the buffered rows."""
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows = []


class Folders:
    """Class folders below `folder`: `<class>/<sha256>.<ending>`. `without`: rows whose picture is not in the root."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        """UsageError: the folder holds something, which would be taken for pictures of this."""
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"--folder {folder}: expected an empty folder, or none there yet, got one with files in it.")
        self.storage, self.folder, self.without = storage, folder, 0
        self.impossible: set[str] = set()

    def add(self, row: Row) -> None:
        """Copies the picture of a row into the folder of its label."""
        name, uri = row["label"], row["image_uri"]
        if "/" in name or class_folders.is_system(name):
            self.impossible.add(name)
            return
        data = None
        with suppress(NotFound):
            data = self.storage.read(uri) if uri and row["image_sha256"] and may_be_key(uri) else None
        if data is None:
            self.without += 1
            return
        target = self.folder / name / f"{row['image_sha256']}{Path(uri).suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
