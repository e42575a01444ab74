"""What the embedded engine asks of a DuckDB connection, as types; engine.py alone imports duckdb."""

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa


class Relation(Protocol):
    """A statement that has not run yet."""

    def to_arrow_table(self, batch_size: int = ..., /) -> pa.Table:
        """Runs the statement; the table's chunks have at most `batch_size` rows."""


class Connection(Protocol):
    """A connection with temporary tables of its own."""

    def cursor(self) -> "Connection":
        """Opens another connection to the same database."""

    def execute(self, query: str, parameters: Sequence[Any] = ..., /) -> "Connection":
        """Runs a statement."""

    def executemany(self, query: str, parameters: Sequence[Any] = ..., /) -> "Connection":
        """Runs a statement once for each of the parameters."""

    def fetchall(self) -> list[Any]:
        """Returns the rows of the statement that ran last."""

    def register(self, name: str, data: object, /) -> object:
        """Registers Arrow data under a name that statements can use."""

    def sql(self, query: str, /) -> Relation:
        """Prepares a statement."""

    def __enter__(self) -> "Connection": ...

    def __exit__(self, *error: Any) -> object: ...
