"""Optuna's journal in the bucket: every entry is the next numbered document, so that several workers write one journal.

Optuna replays the journal from its beginning; what a search means is decided by the order of the entries, which exclusive
creation settles. A packed copy of its beginning saves a new worker the reading of each entry.
"""

from typing import Any

from contract import jsonio
from contract.errors import AlreadyExists, NotFound
from contract.sequence import NumberedDocuments
from contract.storage import read_json
from contract.stores.store import Storage

ENTRIES = "entries"


class StoreJournal:
    """A backend of optuna.storages.JournalStorage (optuna.storages.journal.BaseJournalBackend) over a store."""

    def __init__(self, storage: Storage, pattern: str, packed: str) -> None:
        """`pattern`: key of an entry, `{}` for its number; `packed`: key of the packed copy."""
        self.storage, self.packed = storage, packed
        self.documents = NumberedDocuments(storage, pattern)
        self.entries: list[dict[str, Any]] = self._read_packed()

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """Returns the entries from number `log_number_from` on (0: all). DamagedDocument: one of them is no JSON."""
        self._read_on()
        return self.entries[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds entries after all that there are, whoever wrote those."""
        for entry in logs:
            self._append(entry)

    def pack(self) -> None:
        """Writes the packed copy of what there is."""
        self._read_on()
        self.storage.put(self.packed, jsonio.dumps({ENTRIES: self.entries}))

    def _append(self, entry: dict[str, Any]) -> None:
        while True:
            self._read_on()
            try:
                self.documents.append(entry, after=len(self.entries))
                return
            except AlreadyExists:
                continue

    def _read_on(self) -> None:
        while True:
            try:
                self.entries.append(self.documents.get(len(self.entries) + 1))
            except NotFound:
                return

    def _read_packed(self) -> list[dict[str, Any]]:
        try:
            return list(read_json(self.storage, self.packed)[ENTRIES])
        except NotFound:
            return []
