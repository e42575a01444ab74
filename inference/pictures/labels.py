"""What people said of a day's predictions: the items of the bucket (contract/rows/items.py), held for the next look."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract import clock
from contract.errors import Mismatch, pass_over
from contract.rows.items import find_newest_items, make_schema, read_items
from contract.rows.listing import DayListing
from contract.stores.store import Storage

if TYPE_CHECKING:
    import pyarrow as pa

LOOKED_S = 5.0
HELD = 400  # days


@dataclass(frozen=True)
class DayLabels:
    """The items of a day; `fresh`: they are of all the files that the day has. None of either: nobody joined them yet."""

    table: pa.Table | None
    fresh: bool


class Labels:
    """The items of one root, of the role live. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, str], tuple[float, DayListing, str, DayLabels]] = OrderedDict()

    def read(self, model: str, listing: DayListing) -> DayLabels:
        """Reads the best items of a day: those of its files, else older ones; a day without labels has none, and is fresh."""
        if not listing.labels and listing.expired is None:
            return DayLabels(make_schema().empty_table(), True)
        key, now = (model, listing.day), clock.monotonic()
        known = self._held.get(key)
        if known and known[1] == listing and (known[3].fresh or now - known[0] < LOOKED_S):
            return known[3]
        document = find_newest_items(self.storage, model, listing.day, clock.now_us(), listing=listing)
        if document is None:
            return self._hold(key, (now, listing, "", DayLabels(None, False)))
        fresh = document.is_fresh(listing, clock.now_us())
        if known and known[2] == document.name:
            return self._hold(key, (now, listing, document.name, DayLabels(known[3].table, fresh)))
        try:
            made = DayLabels(read_items(self.storage, document, erased=()), fresh)
        except Mismatch as error:
            pass_over(error)
            made = DayLabels(None, False)
        return self._hold(key, (now, listing, document.name, made))

    def _hold(self, key: tuple[str, str], found: tuple[float, DayListing, str, DayLabels]) -> DayLabels:
        with self._lock:
            self._held[key] = found
            self._held.move_to_end(key)
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return found[3]
