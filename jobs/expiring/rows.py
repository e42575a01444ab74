"""Removes the rows of an old day: counts of every model and role first, then a record, then its files and items go."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from contract import clock, layout
from contract.documents import expiry
from contract.documents.expiry import ExpiredRows, KeptCounts
from contract.errors import ForeignSchema, TrueupError
from contract.rows.listing import DayListing, list_day, list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Storage, create_if_absent
from jobs.count_window import count
from jobs.evaluation_request import Request

AT_ONCE = 16
TABLES = (layout.PREDICTIONS, layout.LABELS)


class Stays(TrueupError):
    """Why the rows of a day cannot go yet."""


def expire(storage: Storage, day: str, requests: Sequence[Request], age: int) -> int:
    """Removes what is left of a day's rows; returns how many files went. Stays: they cannot go yet.

    `requests` has one for each model and role that the day has rows of.
    """
    record = expiry.find_rows(storage, day)
    if record is None:
        listing = list_day(storage, day)
        kept = [keep_counts(storage, day, request, listing) for request in requests]
        made = ExpiredRows(day=day, at=clock.iso(clock.now()), days=age, files=listing.fingerprint(), counts=kept,
                           objects=list_objects(storage, day, listing))
        create_if_absent(storage, layout.expiry(day, "rows"), made.to_bytes())
        record = ExpiredRows.load(storage, layout.expiry(day, "rows"))
    there = find_left(storage, record)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(storage.erase, [*there, *list_items_of(storage, day)]))
    return len(there)


def list_items_of(storage: Storage, day: str) -> list[str]:
    """Lists the items of a day, of all models, and the measures of each of its pictures: they are of its rows, so they go with
    these. The histograms of the pictures stay, as counts do."""
    models = [layout.decode_name(folder) for folder in storage.folders(layout.all_items())]
    measured = [layout.decode_name(folder) for folder in storage.folders(layout.all_measures())]
    tables = [entry.key for model in measured for entry in storage.list(layout.measures(model, day=day))
              if entry.key.endswith(".parquet")]
    return [entry.key for model in models for entry in storage.list(layout.items(model, day))] + tables


def keep_counts(storage: Storage, day: str, request: Request, listing: DayListing) -> KeptCounts:
    """Makes sure that the counts of a day are there, of exactly these files. Stays: they cannot be made, or will change."""
    try:
        document = count(storage, replace(request, first=day, last=day), [day]).documents[day]
    except ForeignSchema as error:
        raise Stays(f"a file cannot be counted: {error}") from error
    if document.files != listing.fingerprint():
        raise Stays("files came while it was counted; the next run looks again")
    if document.next_future is not None:
        raise Stays(f"it has rows that are not known before {clock.iso(clock.from_us(document.next_future))}")
    return KeptCounts(model=document.model, role=document.role, name=document.name)


def find_models(storage: Storage, day: str) -> set[tuple[str, str | None]]:
    """Finds (model, the word for its role) of the day's predictions. Stays: a file cannot be read."""
    found: set[tuple[str, str | None]] = set()
    for file in list_rows(storage, layout.PREDICTIONS, day):
        try:
            table = read_columns(storage, file.key, ["model", "role"], required=["model"])
        except ForeignSchema as error:
            raise Stays(f"a file cannot be counted: {error}") from error
        named = table.group_by(table.column_names).aggregate([]).to_pylist()  # of many rows few
        found |= {(str(row["model"]), row.get("role") and str(row["role"])) for row in named if row["model"]}
    return found


def list_objects(storage: Storage, day: str, listing: DayListing) -> list[str]:
    """Lists what is to be removed: the files that were counted, what they stand for, and the documents that say so."""
    named = {name for name, _, _ in listing.fingerprint()} | {file.key for file in listing.predictions + listing.labels}
    return sorted(key for key in _list(storage, day) if key in named or _is_made(key))


def find_left(storage: Storage, record: ExpiredRows) -> list[str]:
    """Finds the objects that are still to be removed."""
    gone = set(record.objects)
    return sorted(key for key in _list(storage, record.day) if key in gone or _is_made(key))


def find_late(storage: Storage, record: ExpiredRows) -> list[str]:
    """Finds files that came after the record: they stay, and are not counted."""
    gone = set(record.objects)
    return sorted(key for key in _list(storage, record.day) if layout.holds_rows(key) and key not in gone and not _is_made(key))


def _is_made(key: str) -> bool:
    """Whether a compaction made it, which packs nothing that comes after the record (jobs/compact.py)."""
    return bool(layout.find_compaction(key)) or layout.is_packed(key)


def _list(storage: Storage, day: str) -> Iterator[str]:
    return (entry.key for table in TABLES for entry in storage.list(layout.day_folder(table, day)))
