"""What went by age (`retention:`), written before it is removed: `trueup expire` (jobs/expire.py).

From then on a day's rows are gone for every reader: its counts are those that were kept, found by the names of its files.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contract import layout
from contract.documents.document import Document, Moment
from contract.errors import NotFound
from contract.stores.store import Storage


class KeptCounts(BaseModel):
    """Counts of a day that stay, as an evaluation names them."""

    model_config = ConfigDict(frozen=True)

    model: str
    role: str
    name: str


class ExpiredRows(Document):
    """`predictions/dt=<day>/_expired/rows.json`: of both tables."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    day: str
    at: Moment
    days: int  # the setting
    files: list[list[str]]  # key, size, etag of each file, by which its counts are found
    counts: list[KeptCounts]
    objects: list[str]  # what is removed; other files came later, stay, and are not counted

    @property
    def sentence(self) -> str:
        """What is said to people."""
        return f"the rows of {self.day} expired on {self.at[:10]}, after {self.days} days (retention.rows_days)"


class ExpiredPictures(Document):
    """`predictions/dt=<day>/_expired/pictures.json`, and `pictures-done.json` when they are removed."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    day: str
    at: Moment
    days: int  # the setting
    pictures: int = Field(ge=0)
    kept: int = Field(ge=0)  # younger rows, a dataset or a gold item have them, too

    @property
    def sentence(self) -> str:
        """What is said to people."""
        return f"the pictures of {self.day} expired on {self.at[:10]}, after {self.days} days (retention.pictures_days)"


def find_rows(storage: Storage, day: str) -> ExpiredRows | None:
    """The record of a day whose rows went; None for any other."""
    try:
        return ExpiredRows.load(storage, layout.expiry(day, "rows"))
    except NotFound:
        return None


def find_pictures(storage: Storage, day: str) -> ExpiredPictures | None:
    """The record of a day whose pictures went; None for any other."""
    try:
        return ExpiredPictures.load(storage, layout.expiry(day, "pictures"))
    except NotFound:
        return None
