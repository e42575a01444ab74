"""Which files of a day's rows stand for which others: what `trueup compact` (jobs/compact.py) decided.

A new document is the whole state of one day of one table, and the newest one is what holds (contract.sequence). Whoever
reads rows takes each part instead of the files that it is made of (contract/rows/listing.py).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.documents.document import Document, Moment


class Original(BaseModel):
    """A file that was packed, as it was listed, and the hash of its bytes."""

    model_config = ConfigDict(frozen=True)

    key: str
    size: int
    etag: str
    sha256: str


class Part(BaseModel):
    """A packed file. While `aside` is given it lies there, hidden, and nowhere else; then it lies under `key`."""

    model_config = ConfigDict(frozen=True)

    key: str
    aside: str | None
    size: int
    rows: int = Field(ge=0)
    sha256: str
    originals: list[Original]

    @property
    def at(self) -> str:
        """The key to read it by."""
        return self.aside or self.key

    @property
    def names(self) -> tuple[tuple[str, str, str], ...]:
        """Key, size and etag of each file that it stands for."""
        return tuple((o.key, str(o.size), o.etag) for o in self.originals)


class Compaction(Document):
    """`<table>/dt=<day>/_compacted/<n>.json`."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    table: str
    day: str
    at: Moment  # by the store's clock
    parts: list[Part]

    @property
    def is_shown(self) -> bool:
        """Whether every packed file lies where other programs find it."""
        return all(part.aside is None for part in self.parts)
