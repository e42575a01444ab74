"""Evaluations in short, read once: they never change."""

from __future__ import annotations

from collections import OrderedDict

from contract import layout
from contract.documents.evaluation_summary import Summary, parse
from contract.errors import DamagedDocument, NotFound
from contract.stores.store import Storage

KEPT = 1500


class Summaries:
    """What the evaluations of a root say, in short. `read` counts those that had to be read."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: OrderedDict[tuple[str, str], Summary] = OrderedDict()
        self.read = 0

    def find(self, model: str, name: str) -> Summary | None:
        """Finds an evaluation; None for one that is not finished, or that cannot be read (/reports names it)."""
        key = (model, name)
        if key in self._kept:
            return self._kept[key]
        self.read += 1
        document = layout.evaluation_document(model, name)
        try:
            found = parse(self._storage.read(document), self._storage.uri(document))
        except (NotFound, DamagedDocument, ValueError):
            return None
        self._kept[key] = found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found
