"""Erases what was measured of a picture: the documents of the days that it was counted on, and their tables.

The next run measures those days again, without the picture. A dataset's histograms have no row of a picture, and stay.
"""

from __future__ import annotations

from contract import layout
from contract.errors import DamagedDocument
from contract.stores.store import Entry, Storage

COLUMN = "image_sha256"


def erase_measures(storage: Storage, sha256: str, unread: list[str]) -> list[str]:
    """Removes tables that have a row of the picture, and the documents that name them; returns their keys.

    Documents first, so that none names a table that is gone. A table that cannot be read is removed, too, as it may have a row
    of the picture, and is named in `unread`.
    """
    gone = []
    for model, day in _list_days(storage):
        folder = layout.measures(model, day=day)
        entries = list(storage.list(folder))
        parquet = [entry.key for entry in entries if entry.key.endswith(".parquet")]
        tables = {key for key in parquet if _holds(storage, key, sha256, unread)}
        if tables:
            gone += [*_list_naming(storage, entries, tables), *sorted(tables), *_list_embedded(storage, model, day)]
    for key in gone:
        storage.erase(key)
    return gone


def _list_days(storage: Storage) -> list[tuple[str, str]]:
    models = [layout.decode_name(name) for name in storage.folders(layout.all_measures())]
    days = [(model, layout.day_of(name)) for model in models for name in storage.folders(layout.measures(model))]
    return [(model, day) for model, day in days if day]


def _list_embedded(storage: Storage, model: str, day: str) -> list[str]:
    """Lists the embeddings of that day's pictures, of all versions."""
    versions = [found for name in storage.folders(layout.measures(model)) if (found := layout.measured_version(name))]
    return [entry.key for version in versions for entry in storage.list(layout.measures(model, day=day, version=version))]


def _holds(storage: Storage, key: str, sha256: str, unread: list[str]) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        column = pq.read_table(pa.BufferReader(storage.read(key)), columns=[COLUMN])[COLUMN]
    except (OSError, pa.ArrowException, KeyError) as error:
        unread.append(f"{key} ({error}): removed, as nobody can tell whether it has the picture")
        return True
    return bool(pc.any(pc.equal(column, sha256)).as_py())


def _list_naming(storage: Storage, entries: list[Entry], tables: set[str]) -> list[str]:
    """Lists the documents that name one of the tables, and damaged ones, which may."""
    from contract.measured.document import Measured

    found = []
    for entry in entries:
        if not entry.key.endswith(".json"):
            continue
        try:
            document = Measured.load(storage, entry.key)
        except DamagedDocument:
            found.append(entry.key)
            continue
        if document.table and document.folder + document.table in tables:
            found.append(entry.key)
    return found
