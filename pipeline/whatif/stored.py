"""The counts that lie in the root, and which of them say what was known of a day at a moment."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from contract import layout
from contract.counts import RULES
from contract.counts_store import NUMBER, CountsDocument, from_parquet
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.stores.store import Storage
from metrics import label_delay

READS_AT_ONCE = 16
KEYS, VALUES = ("model_version", "origin", "label", "predicted"), ("n", "n_weighted", "sum_weight", "sum_weight_squared")
Row = tuple[Any, ...]  # KEYS, then VALUES


@dataclass
class StoredCounts:
    """The counts documents of a model's prediction days, of role live and today's rules, and their cells once read."""

    storage: Storage
    model: str
    documents: dict[str, list[CountsDocument]] = field(default_factory=dict)
    _rows: dict[str, list[Row]] = field(default_factory=dict)
    _delays: dict[str, dict[int, int]] = field(default_factory=dict)

    def look(self, days: Iterable[str]) -> None:
        """Reads the documents of these days, the newest first; those that cannot be read are passed over."""
        for day, found in _map(self._read_documents, list(days)):
            self.documents[day] = found

    def _read_documents(self, day: str) -> list[CountsDocument]:
        folder, found = layout.counts(self.model, day), []
        for entry in self.storage.list(folder):
            inputs, _, name = entry.key.removeprefix(folder).partition("/")
            if not NUMBER.fullmatch(name):
                continue
            try:
                document = CountsDocument.load(self.storage, layout.counts_document(self.model, day, f"{inputs}/{name[:-5]}"))
            except (DamagedDocument, NotFound) as error:
                pass_over(error)
                continue
            if document.rules == RULES and document.role == "live":
                found.append(document)
        return sorted(found, key=lambda d: (d.known_through, sum(d.rows.values()), d.inputs), reverse=True)

    def choose(self, day: str, as_of: int) -> tuple[CountsDocument | None, bool]:
        """The counts of a day that are good at a moment (us since 1970), and whether they are of the newest files seen.

        Of others nobody knows whether rows came later that were known by then.
        """
        there = self.documents.get(day, [])
        good = [d for d in there if d.is_good_at(as_of)]
        newest = next((d for d in good if d.files == there[0].files), None)
        return newest or next(iter(good), None), newest is not None

    def read(self, documents: Iterable[CountsDocument]) -> None:
        """Reads the cells of some documents, added up by version, origin, label and predicted label."""
        wanted = {d.folder + d.tables["cells"]: d for d in documents if "cells" in d.tables}
        missing = [key for key in wanted if key not in self._rows]
        for key, rows in _map(lambda key: _read_rows(self.storage, key), missing):
            self._rows[key] = rows

    def rows(self, document: CountsDocument) -> list[Row]:
        """The cells of a document that was read."""
        return self._rows[document.folder + document.tables["cells"]] if "cells" in document.tables else []

    def has_version(self, document: CountsDocument, version: str) -> bool:
        """Whether a version has a cell in a document that was read."""
        return any(row[0] == version for row in self.rows(document))

    def read_delays(self, document: CountsDocument) -> dict[int, int]:
        """The day's labels by delay in days."""
        key = document.folder + document.tables["delays"] if "delays" in document.tables else None
        if key is None:
            return {}
        if key not in self._delays:
            self._delays[key] = label_delay.histogram(from_parquet(self.storage, key))
        return self._delays[key]


def _read_rows(storage: Storage, key: str) -> list[Row]:
    table = from_parquet(storage, key)
    sums: dict[Row, list[int]] = {}
    for row in zip(*(table[name].to_pylist() for name in (*KEYS, *VALUES)), strict=True):
        found, values = sums.setdefault(row[:len(KEYS)], [0] * len(VALUES)), row[len(KEYS):]
        for place, value in enumerate(values):
            if value:
                found[place] += int(value)
    return [(*cell, *values) for cell, values in sums.items()]


def _map(work: Callable[[str], Any], names: Sequence[str]) -> Iterable[tuple[str, Any]]:
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        yield from zip(names, pool.map(work, names), strict=True)
