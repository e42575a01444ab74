"""Where a picture is: the rows that name it, the dataset attempts that hold it, the versions that learnt from it."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract import ids, layout
from contract.days import prediction_days
from contract.documents import manifest
from contract.documents.manifest import Manifest, read_index_file
from contract.errors import DamagedDocument, Mismatch, NotFound
from contract.registry import Registry, models
from contract.rows.reading import rows_where
from contract.stores.store import Storage, may_be_key

COLUMNS = ("prediction_id", "image_sha256", "image_uri")


@dataclass
class Rows:
    """Prediction rows that name a picture: their ids, where they say it lies, and files that could not be read."""

    prediction_ids: set[str] = field(default_factory=set)
    uris: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)


def find_rows(storage: Storage, sha256: str) -> Rows:
    """The rows of all days that name the image."""
    found = Rows()
    for day in prediction_days(storage):
        for prediction_id, _, uri in _rows(storage, day, "image_sha256", sha256, found.unread):
            found.prediction_ids.add(prediction_id)
            found.uris.add(uri)
    return Rows(found.prediction_ids - {None}, {u for u in found.uris if u and may_be_key(u)}, found.unread)


def find_images(storage: Storage, prediction_id: str) -> set[str]:
    """Hashes of a prediction's picture (of several, when the id was used twice). NotFound: no such row, or no picture."""
    unread: list[str] = []
    day = ids.day_of(prediction_id)
    days = [day] if day else prediction_days(storage)
    rows = [row for d in days for row in _rows(storage, d, "prediction_id", prediction_id, unread)]
    if not rows:
        more = f" Files that cannot be read: {', '.join(unread)}." if unread else ""
        raise NotFound(f"{storage.root}: expected a prediction {prediction_id!r}, found none. If it was answered just now it "
                       f"may still be in an outbox: try again once it was shipped, or name the picture by --image.{more}")
    hashes = {found for _, sha256, uri in rows if (found := sha256 or _hash_at(storage, uri))}
    if not hashes:
        raise NotFound(f"{storage.root}: the picture of prediction {prediction_id!r} was not stored: there is nothing to "
                       f"forget.")
    return hashes


def _hash_at(storage: Storage, uri: str | None) -> str | None:
    """The hash of a picture in an imported log, whose rows may name the place alone."""
    try:
        return hashlib.sha256(storage.read(uri)).hexdigest() if uri and may_be_key(uri) else None
    except NotFound:
        return None


def _rows(storage: Storage, day: str, column: str, value: str, unread: list[str]) -> Iterator[tuple[Any, Any, Any]]:
    found = rows_where(storage, layout.PREDICTIONS, day, column, [value], COLUMNS, unreadable=unread)
    for _, row in found:
        yield row["prediction_id"] and str(row["prediction_id"]), row["image_sha256"], row["image_uri"]


@dataclass(frozen=True)
class Attempt:
    """One attempt at a dataset that holds the picture; `split` None: its index is gone, so it may hold the picture."""

    dataset: str
    folder: str
    split: str | None


def find_attempts(storage: Storage, sha256: str, unread: list[str]) -> list[Attempt]:
    """All attempts, named by a manifest or not, whose index has the image. An index is written before any picture.

    `unread` is told what cannot be read: of a manifest nothing is believed, an attempt whose index is damaged stays as it is.
    """
    found = []
    for dataset in storage.folders(layout.datasets()):
        made = _read_manifest(storage, dataset, unread)
        for attempt in storage.folders(layout.dataset(dataset)):
            folder = layout.dataset_attempt(dataset, attempt)
            try:
                splits = _splits(storage, dataset, attempt, made)
            except Mismatch as error:
                unread.append(str(error))
                continue
            if sha256 in splits or not splits:
                found.append(Attempt(dataset, folder, splits.get(sha256)))
    return found


def _read_manifest(storage: Storage, dataset: str, unread: list[str]) -> Manifest | None:
    try:
        return read_manifest(storage, dataset)
    except DamagedDocument as error:
        unread.append(str(error))
        return None


def _splits(storage: Storage, dataset: str, attempt: str, made: Manifest | None) -> dict[str, str]:
    """Image hash -> split, by an attempt's index; empty when there is no index."""
    sha256 = made.index.sha256 if made and made.attempt == attempt else None
    key = layout.dataset_index(layout.dataset_attempt(dataset, attempt))
    try:
        table = read_index_file(storage, key, sha256, ("image_sha256", "split"))
    except NotFound:
        return {}
    return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))


def read_manifest(storage: Storage, dataset: str) -> Manifest | None:
    """The manifest of a dataset, None when no attempt was finished."""
    try:
        return manifest.load(storage, dataset)
    except NotFound:
        return None


@dataclass(frozen=True)
class Learnt:
    """A version that learnt from the picture, and why."""

    model: str
    version: str
    because: str


def find_versions(storage: Storage, held: Sequence[Attempt], unread: list[str]) -> list[Learnt]:
    """Versions that were trained on the picture, or descend from such a version, by model and number.

    `unread` is told the cards that cannot be read.
    """
    trained = {a.dataset for a in held if a.split in ("train", None)}
    found = []
    for model in models(storage):
        registry, knows = Registry(storage, model), {}
        for version in registry.versions():
            try:
                card = registry.card(version)
            except DamagedDocument as error:
                unread.append(str(error))
                continue
            if card.dataset in trained:
                knows[version] = f"trained on dataset {card.dataset}"
            elif card.parent in knows:
                knows[version] = f"descends from version {card.parent}"
        found += [Learnt(model, version, because) for version, because in knows.items()]
    return found
