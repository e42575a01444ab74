"""Which days an evaluation would count: those without counts of exactly their files by the rules of this release.

By listings and counts documents alone: no file of rows is opened. After an upgrade with other rules of counting it is every
day that somebody asks for, once (docs/upgrade.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contract import layout
from contract.counts import RULES
from contract.counts_store import CountsDocument
from contract.days import prediction_days
from contract.errors import DamagedDocument, pass_over
from contract.rows.listing import list_day
from contract.stores.store import Storage


@dataclass(frozen=True)
class Uncounted:
    """A day that would be counted, and the bytes of its files.

    `rules` are those that its files were counted by, None when they were not; `rows` is how many of the model were found
    then, predictions and labels.
    """

    day: str
    bytes: int
    rules: str | None = None
    rows: int | None = None


def list_uncounted(storage: Storage, model: str, first: str | None = None, last: str | None = None) -> Iterator[Uncounted]:
    """Yields the days of a window, both ends included, that have no counts of their files by today's rules."""
    for day in prediction_days(storage):
        if (first and day < first) or (last and day > last):
            continue
        listing = list_day(storage, day)
        of_them = [d for d in _list_counted(storage, model, day) if sorted(d.files) == listing.fingerprint()]
        if any(document.rules == RULES for document in of_them):
            continue
        older = of_them[0] if of_them else None
        rows = older.rows.get("predictions", 0) + older.rows.get("labels", 0) if older else None
        yield Uncounted(day, listing.size, older.rules if older else None, rows)


def _list_counted(storage: Storage, model: str, day: str) -> Iterator[CountsDocument]:
    """Yields the counts documents of a day, newest first."""
    for entry in sorted(storage.list(layout.counts(model, day)), reverse=True):
        if entry.key.endswith(".json"):
            try:
                yield CountsDocument.load(storage, entry.key)
            except DamagedDocument as error:  # taken as not counted; whoever counts the day says what to do
                pass_over(error)
