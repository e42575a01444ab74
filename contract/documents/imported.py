"""Which files of others were imported: what lets an import of a growing folder take what is new, once."""

from typing import Literal

from pydantic import Field

from contract import layout
from contract.documents.document import Document, Moment
from contract.stores.store import Storage, create_if_absent


class Imported(Document):
    """`imports/<table>/<sha256>.json`: written after the file's rows, so that a file without one is imported (again)."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    table: str
    name: str  # the file's path below the folder; another file with the same content is the same file
    sha256: str
    rows: int = Field(ge=0)
    bad: int = Field(ge=0)  # rows that --skip-bad left out
    files: list[str]  # keys of the rows
    at: Moment


def remember(storage: Storage, done: Imported) -> bool:
    """Writes the document; returns whether it is new."""
    return create_if_absent(storage, layout.imported(done.table, done.sha256), done.to_bytes())
