"""What lies under one day: its files in both tables by their listing alone, and the fingerprint that names them.

A day's counts are made from exactly these files, so every reader that asks whether they are still good goes through
here: the engines (jobs/engines/day_files.py) and the driver of a cluster (pipeline/running/emr.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from contract import layout
from contract.stores.store import Entry, Storage


class Listed(Protocol):
    """A file as a listing shows it; `contract.stores.store.Entry` is one."""

    @property
    def key(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def etag(self) -> str: ...


@dataclass(frozen=True)
class DayListing:
    """The files of rows of one day, sorted by key."""

    day: str
    predictions: tuple[Entry, ...]
    labels: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.predictions + self.labels)

    def fingerprint(self) -> list[list[str]]:
        """Names the files of both tables; see `fingerprint`."""
        return fingerprint(self.predictions + self.labels)


def list_day(storage: Storage, day: str) -> DayListing:
    """Lists the files of rows of a day in both tables; no file is opened."""
    return DayListing(day, tuple(list_rows(storage, layout.PREDICTIONS, day)), tuple(list_rows(storage, layout.LABELS, day)))


def list_rows(storage: Storage, table: str, day: str) -> list[Entry]:
    """Lists the files of rows of a day in one table, by key; what else lies in or below its folder is left out."""
    return [entry for entry in list_folder(storage, table, day) if layout.holds_rows(entry.key)]


def list_folder(storage: Storage, table: str, day: str) -> list[Entry]:
    """Lists everything in and below the folder of a day, by key."""
    return sorted(storage.list(layout.day_folder(table, day)))


def fingerprint(files: Iterable[Listed]) -> list[list[str]]:
    """Returns [key, size, etag] of each file, sorted: what a counts document keeps of the files it was made from."""
    return sorted([file.key, str(file.size), file.etag] for file in files)
