"""What lies under one day: its files in both tables by their listing alone, and the fingerprint that names them.

A day's counts are made from exactly these files, so every reader that asks whether they are still good goes through
here: the engines (jobs/engines/day_files.py), the pages, and whoever plans what is to be counted
(contract/rows/uncounted.py). A file that was made of others (`trueup compact`) is read instead of these, and named by them:
counts made from them stay good.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from contract import layout
from contract.errors import NotFound
from contract.stores.store import Entry, Storage

if TYPE_CHECKING:
    from contract.documents.compaction import Compaction
    from contract.documents.expiry import ExpiredRows

Name = tuple[str, str, str]  # key, size, etag of a file
LOOKS = 3  # an older document is removed when a newer one is a day old


class Listed(Protocol):
    """A file as `list_rows` shows it; `RowFile` is one."""

    @property
    def key(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def etag(self) -> str: ...

    @property
    def made_of(self) -> tuple[Name, ...]: ...


@dataclass(frozen=True, order=True)
class RowFile(Entry):
    """A file to read; `made_of` names the files that it stands for, of one that was packed."""

    made_of: tuple[Name, ...] = ()


@dataclass(frozen=True)
class DayListing:
    """The files of rows of one day, sorted by key."""

    day: str
    predictions: tuple[RowFile, ...]
    labels: tuple[RowFile, ...]
    expired: ExpiredRows | None = None  # then there are no files, and their names are known

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.predictions + self.labels)

    def fingerprint(self) -> list[list[str]]:
        """Names the files of both tables; see `fingerprint`."""
        return self.expired.files if self.expired else fingerprint(self.predictions + self.labels)


def list_day(storage: Storage, day: str) -> DayListing:
    """Lists the files of rows of a day in both tables; no file is opened."""
    predictions, listed = list_folder(storage, layout.PREDICTIONS, day)
    if expired := find_expired(storage, day, listed):
        return DayListing(day, (), (), expired)
    return DayListing(day, tuple(predictions), tuple(list_rows(storage, layout.LABELS, day)))


def find_expired(storage: Storage, day: str, listed: Iterable[Entry]) -> ExpiredRows | None:
    """Reads the record of a day whose rows went, where the listing of its predictions has it."""
    from contract.documents.expiry import ExpiredRows

    there = any(entry.key == layout.expiry(day, "rows") for entry in listed)
    return ExpiredRows.load(storage, layout.expiry(day, "rows")) if there else None


def list_rows(storage: Storage, table: str, day: str) -> list[RowFile]:
    """Lists the files of rows of a day in one table, by key, so that each row is in exactly one of them."""
    return list_folder(storage, table, day)[0]


def list_folder(storage: Storage, table: str, day: str) -> tuple[list[RowFile], list[Entry]]:
    """Lists the files of rows of a day, and everything in and below its folder, both by key."""
    for look in range(LOOKS):
        listed = sorted(storage.list(layout.day_folder(table, day)))
        if table == layout.PREDICTIONS and any(entry.key == layout.expiry(day, "rows") for entry in listed):
            return [], listed
        try:
            return take_once(listed, find_newest(storage, table, day, listed)), listed
        except NotFound:
            if look == LOOKS - 1:
                raise
    raise AssertionError


def find_newest(storage: Storage, table: str, day: str, listed: Iterable[Entry]) -> Compaction | None:
    """Reads the newest document of compaction among what was listed; None when the day has none. NotFound: it has gone."""
    from contract.documents.compaction import Compaction

    number = find_newest_number(listed)
    return Compaction.load(storage, layout.compactions(table, day).format(number)) if number else None


def find_newest_number(listed: Iterable[Entry]) -> int:
    """Finds the number of the newest document of compaction among what was listed; 0 when there is none."""
    found = (layout.find_compaction(entry.key) for entry in listed)
    return max((int(name["number"]) for name in found if name and name["ending"] == "json"), default=0)


def take_once(listed: Iterable[Entry], newest: Compaction | None) -> list[RowFile]:
    """Chooses the files that together hold each row once: packed ones, where a document names them, for what they stand for.

    A packed file that the newest document does not name is one that was there before or a copy that came too late. Without
    any document (a copy of the folder alone) all files are rows.
    """
    loose = [entry for entry in listed if layout.holds_rows(entry.key)]
    if newest is None:
        return [RowFile(e.key, e.size, e.etag) for e in loose]
    replaced = {name for part in newest.parts for name in part.names}
    files = [RowFile(e.key, e.size, e.etag) for e in loose
             if not layout.is_packed(e.key) and (e.key, str(e.size), e.etag) not in replaced]
    return sorted(files + [RowFile(part.at, part.size, part.sha256, part.names) for part in newest.parts])


def was_packed(storage: Storage, table: str, day: str, key: str) -> bool:
    """Whether the rows of a file that was written before, under this key, lie in a packed one since."""
    newest = find_newest(storage, table, day, storage.list(layout.compacted(table, day)))
    return newest is not None and any(name[0] == key for part in newest.parts for name in part.names)


def fingerprint(files: Iterable[Listed]) -> list[list[str]]:
    """Returns [key, size, etag] of each file, sorted: what a counts document keeps of the files it was made from."""
    names = [name for file in files for name in file.made_of or ((file.key, str(file.size), file.etag),)]
    return sorted(map(list, names))
