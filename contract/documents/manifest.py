"""The manifest of a dataset: the document that makes it exist, written last; readers trust it and no listing.

Its index, all rows without their pictures, is read here too: only as the file whose hash the manifest names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from contract import layout
from contract.dataset_record import INDEX
from contract.documents.document import Document
from contract.errors import Mismatch, NotFound
from contract.stores.store import Storage

if TYPE_CHECKING:
    import pyarrow as pa

ADDED = ("labelers", "decoded_by")  # columns that an index of an earlier release may lack: null there


class DataFile(Document):
    """One Petastorm file. `row_digest` is over its sorted row hashes, so it is the same in any partitioning."""

    key: str
    split: str
    rows: int
    row_groups: int
    size: int
    sha256: str
    row_digest: str


class Table(Document):
    """A file beside the splits, by its key and the hash of its bytes."""

    key: str
    sha256: str
    rows: int


class LeakageCheck(Document):
    """What was checked before the manifest was written."""

    images_in_two_splits: int
    near_bits: int
    near_left_out: int  # training pictures nearly the same as a held-out one, left out and listed


class Manifest(Document):
    """`datasets/<id>/manifest.json`."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    dataset: str
    attempt: str
    model: str
    parent: str | None = None  # the dataset whose rows were replayed
    created_at: str
    as_of: str
    window: dict[str, str | None] = {}
    classes: list[str] = Field(min_length=1)
    rows: dict[str, int]
    per_class: dict[str, dict[str, int]]  # split -> label -> rows
    label_sources: dict[str, int]  # origin class -> rows
    holdout_sources: dict[str, int] | None = None  # origin class -> held-out rows: what a candidate can be judged by
    replayed: dict[str, int]  # split -> rows that came with the parent
    decoders: dict[str, int] = {}  # decoder of the user's own (a row's `decoded_by`) -> rows whose pixels it made
    files: list[DataFile]
    index: Table  # contract.dataset_record.INDEX
    left_out: dict[str, int]  # reason -> images; `listed` names each
    listed: Table
    leakage: LeakageCheck
    settings: dict[str, Any]
    split_by: str  # the formula, for people
    common_metadata: dict[str, str]  # split -> sha256 of the _common_metadata that outside users' Petastorm reads
    erased: list[str] = []  # images that were removed on request; such a dataset is not trained on again

    def split(self, name: str) -> list[DataFile]:
        """The files of a split, in order."""
        return [f for f in self.files if f.split == name]


def load(storage: Storage, dataset: str) -> Manifest:
    """The manifest of a dataset; NotFound names the ones that there are."""
    try:
        return Manifest.load(storage, layout.manifest(dataset))
    except NotFound:
        there = [d for d in storage.folders(layout.datasets()) if storage.exists(layout.manifest(d))]
        raise NotFound(f"{storage.root}: expected a dataset {dataset!r}, found: {', '.join(there) or 'none'}. "
                       f"Make one: trueup dataset.") from None


def read_index(storage: Storage, made: Manifest, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads the index of a dataset (contract.dataset_record.INDEX), all columns or some.

    NotFound: it is gone. Mismatch: it is not the file that the manifest names.
    """
    try:
        return read_index_file(storage, made.index.key, made.index.sha256, columns)
    except NotFound:
        raise NotFound(f"dataset {made.dataset}: its index {made.index.key} is gone, so nobody can tell what was trained "
                       f"on. Restore it, or go on with another dataset.") from None


def read_index_file(storage: Storage, key: str, sha256: str | None, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads an index by its key; `sha256` is None only for an attempt that no manifest names, so that no hash is known."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = storage.read(key)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise Mismatch(f"{storage.uri(key)}: expected the sha256 {sha256} of its manifest, got another. "
                       f"The file was damaged; make the dataset again.")
    try:
        there = set(pq.read_schema(pa.BufferReader(data)).names)
        lacking = [field for field in INDEX.arrow() if field.name in ADDED and field.name not in there]
        names = {field.name for field in lacking}
        found = pq.read_table(pa.BufferReader(data), columns=columns and [name for name in columns if name not in names])
        for field in lacking:
            found = found.append_column(field, pa.nulls(found.num_rows, field.type))
        return found.select(columns) if columns else found
    except pa.ArrowException as error:
        raise Mismatch(f"{storage.uri(key)}: expected the index of a dataset, got a file that cannot be read ({error}). "
                       f"Remove its folder by hand, then start again.") from error
