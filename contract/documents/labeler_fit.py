"""A fit of labelers: how well each of them labels, estimated from the votes of a window (docs/labelers.md).

`fits/<model>/<name>/fit.json` names two Parquet tables beside it, `labelers` and, of the full form, `confusion`. Tables first,
document last, created exclusively, never changed. A row whose `labeler` is null is everybody: all labelers of the fit taken
together, who stand for those that it does not know.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from contract import layout
from contract.counts import RULES
from contract.counts_store import to_parquet
from contract.documents.document import Document, Moment
from contract.errors import AlreadyExists, DamagedDocument, Mismatch, NotFound, UsageError, pass_over
from contract.records import Field as Column
from contract.records import TableSchema
from contract.stores.store import Storage, create_if_absent

if TYPE_CHECKING:
    import pyarrow as pa

NEWEST = "newest"  # whoever asks for a fit of this name gets the newest one
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

LABELERS = TableSchema("labelers", (
    Column("labeler", "string", "who; null: everybody, who stands for labelers that the fit does not know"),
    Column("votes", "int64", "votes that the fit rests on"),
    Column("right", "double", "how many of them name the class that the picture shows, as the fit expects"),
    Column("accuracy", "double", "the chance that a vote names the class: right / votes, smoothed"),
    Column("weight", "int64", "of each vote in the consensus, one-coin form: 65,536 is everybody's; 0: no better than chance"),
    Column("hit", "int64", "floor(ln(accuracy) * 2^16)"),
    Column("miss", "int64", "floor(ln(chance of each wrong class) * 2^16)"),
))
CONFUSION = TableSchema("confusion", (
    Column("labeler", "string", "who; null: everybody"),
    Column("truth", "string", "the class that the picture shows"),
    Column("said", "string", "the label of the vote; of a person only labels that they gave at least once"),
    Column("count", "double", "how many votes, as the fit expects"),
    Column("probability", "double", "the chance of this vote where the picture shows that class, smoothed"),
    Column("score", "int64", "floor(ln(probability) * 2^16)"),
))
TABLES = {record.name: record for record in (LABELERS, CONFUSION)}


class FitClass(BaseModel):
    """A class of the fit: its share of the pictures, and floor(ln(share) * 2^16)."""

    label: str
    prior: float = Field(ge=0, le=1)
    score: int


class FitParameters(BaseModel):
    """What the fit was asked for. `start` names the fit that it went on from; null: from the shares of votes."""

    iterations: int = Field(ge=1)
    tolerance: float
    smoothing: float = Field(ge=0)
    start: str | None


class FitWindow(BaseModel):
    """The first and the last prediction day, both included."""

    first: str = Field(alias="from")
    last: str = Field(alias="to")


class LabelerFit(Document):
    """One fit. `inputs`: day -> the name of the items whose votes it rests on, `<inputs>/<known_through>`."""

    schema_: Literal["1"] = Field("1", alias="schema")
    rules: str = RULES
    model: str
    name: str
    at: Moment
    as_of: Moment
    role: str
    window: FitWindow
    engine: str
    form: Literal["full", "one-coin"]
    inputs: dict[str, str]
    parameters: FitParameters
    iterations: int  # that were made
    converged: bool  # the log likelihood stood still before they were spent
    log_likelihood: float  # natural logarithm of the chance of all votes, at the last iteration
    votes: int
    predictions: int  # that two or more people judged
    labelers: int
    left_out: dict[str, int]  # votes by reason: unnamed, nobody, again, alone
    classes: list[FitClass]  # by the bytes of their labels
    tables: dict[str, str] = {}  # labelers, confusion -> file name

    @property
    def key(self) -> str:
        """The key of the document."""
        return layout.fit_document(self.model, self.name)

    @property
    def folder(self) -> str:
        """The key of the folder that holds document and tables."""
        return layout.fit(self.model, self.name)


def check_name(name: str) -> str:
    """Returns the name of a fit; UsageError for one that cannot be a fit's."""
    if not NAME.fullmatch(name) or name == NEWEST:
        raise UsageError(f"the fit's name {name!r}: expected up to 100 letters, digits, dots, hyphens and underscores, and not "
                         f"{NEWEST!r}, e.g. 2026-november.")
    return name


def write_fit(storage: Storage, fit: LabelerFit, tables: Mapping[str, pa.Table]) -> LabelerFit:
    """Writes the tables, then the document. AlreadyExists: there is a fit of that name."""
    if storage.exists(fit.key):
        raise _exists(storage, fit)
    data = {name: to_parquet(table) for name, table in tables.items()}
    files = {name: layout.fit_table(name, hashlib.sha256(made).hexdigest()[:16]) for name, made in data.items()}
    for name, made in data.items():
        create_if_absent(storage, fit.folder + files[name], made)
    fit = fit.model_copy(update={"tables": files})
    if not create_if_absent(storage, fit.key, fit.to_bytes()):
        raise _exists(storage, fit)
    return fit


def _exists(storage: Storage, fit: LabelerFit) -> AlreadyExists:
    return AlreadyExists(f"{storage.uri(fit.key)}: expected no fit of the name {fit.name!r}, found one. Fits are never "
                         f"changed: choose another --name.")


def load_fit(storage: Storage, model: str, name: str) -> LabelerFit:
    """Loads a fit by its name, or the one made last for `newest`. NotFound: there is none."""
    if name == NEWEST:
        if (found := find_newest_fit(storage, model)) is None:
            raise NotFound(f"{storage.root}: expected a fit of the labelers of {model!r}, found none. Make one: trueup labelers "
                           f"fit --model {model}.")
        return found
    try:
        return LabelerFit.load(storage, layout.fit_document(model, check_name(name)))
    except NotFound:
        there = ", ".join(fit.name for fit in list_fits(storage, model)) or "none"
        raise NotFound(f"expected a fit of the labelers of {model!r}, got the name {name!r}. There are: {there}.") from None


def list_fits(storage: Storage, model: str) -> list[LabelerFit]:
    """Lists the fits of a model, the one made last first; damaged ones are named on standard error."""
    return sorted(_read_fits(storage, model), key=lambda fit: (fit.at, fit.name), reverse=True)


def find_newest_fit(storage: Storage, model: str) -> LabelerFit | None:
    """The fit that was made last, or None."""
    return next(iter(list_fits(storage, model)), None)


def _read_fits(storage: Storage, model: str) -> Iterator[LabelerFit]:
    for name in storage.folders(layout.fits(model)):
        try:
            yield LabelerFit.load(storage, layout.fit_document(model, name))
        except NotFound:  # tables without a document: not done
            continue
        except DamagedDocument as error:
            pass_over(error)


def read_fit_table(storage: Storage, fit: LabelerFit, name: str) -> pa.Table:
    """Reads a table of a fit; an empty one where the fit has none, as `confusion` of the one-coin form.

    Mismatch when it is gone, or not what its document promises.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    record = TABLES[name]
    if name not in fit.tables:
        return record.arrow().empty_table()
    key = fit.folder + fit.tables[name]
    try:
        return pq.read_table(pa.BufferReader(storage.read(key))).select(record.names).cast(record.arrow())
    except (NotFound, OSError, pa.ArrowException, KeyError) as error:
        raise Mismatch(f"{storage.uri(key)}: expected the table of a fit that its document names, got {error}. Bring it back "
                       f"(docs/restore.md), or make another fit: trueup labelers fit --model {fit.model}.") from error
