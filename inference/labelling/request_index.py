"""Which files of predictions may hold a request id, so that a label that names one need not have all of them read.

Of each file the hashes of its request ids are kept in memory, sorted, 8 bytes a row that has one. A file never changes, so it is
read once; a hash says `perhaps`, and the rows of the file say the rest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection

import numpy as np

from contract.rows.reading import read_texts
from contract.stores.store import Entry, Storage

COLUMN = "request_id"
MOST_BYTES = 128 << 20  # of hashes: 16 million rows with a request id; the least recently used files go first
Name = tuple[str, int, str]


class RequestIndex:
    """The request ids of files of predictions, as hashes. Threads may share it."""

    def __init__(self, storage: Storage, most_bytes: int = MOST_BYTES) -> None:
        """`most_bytes`: of hashes in memory; a file that went is read again when it is asked about."""
        self.storage, self.most_bytes, self.held = storage, most_bytes, 0
        self._lock = threading.Lock()
        self._hashes: OrderedDict[Name, np.ndarray] = OrderedDict()

    def may_hold(self, entry: Entry, request_ids: Collection[str]) -> bool:
        """Says whether a file may have a row with one of these request ids; False is certain. ForeignSchema: no file to read."""
        known = self._find(entry)
        wanted = _hash(request_ids)
        at = np.searchsorted(known, wanted)
        return bool((known[np.minimum(at, len(known) - 1)] == wanted).any()) if len(known) else False

    def _find(self, entry: Entry) -> np.ndarray:
        name = (entry.key, entry.size, entry.etag)
        with self._lock:
            if name in self._hashes:
                self._hashes.move_to_end(name)
                return self._hashes[name]
        found = [_hash(texts) for texts in read_texts(self.storage, entry.key, COLUMN)]
        return self._keep(name, np.unique(np.concatenate([np.empty(0, np.int64), *found])))

    def _keep(self, name: Name, hashes: np.ndarray) -> np.ndarray:
        with self._lock:
            if name not in self._hashes:  # else another thread read the same file meanwhile
                self._hashes[name] = hashes
                self.held += hashes.nbytes
            while self.held > self.most_bytes and len(self._hashes) > 1:
                self.held -= self._hashes.popitem(last=False)[1].nbytes
        return hashes


def _hash(texts: Collection[str]) -> np.ndarray:
    """Hashes texts as this process does; another one has other hashes."""
    return np.fromiter(map(hash, texts), np.int64, len(texts))
