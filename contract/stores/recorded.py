"""Two views of a store: one that notes what is read through it, and one that shows only what was noted.

Whoever makes an evaluation or a decision reads through the first and writes down what it saw (`rests_on`). Whoever checks it
reads through the second: documents that came later are not there, so the same code finds what it found then.
"""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import NotFound, RootError
from contract.stores.store import Entry, Storage

if TYPE_CHECKING:
    from pyarrow import fs


class RecordedReads:
    """Reads as another store; `seen` has key -> sha256 (hex) of the bytes of each object that was read.

    `passing`: keys that are not noted, since their objects are replaced now and then, so that no hash of theirs holds.
    """

    def __init__(self, storage: Storage, passing: Collection[str] = ()) -> None:
        self.storage, self.passing = storage, passing
        self.root = storage.root
        self.seen: dict[str, str] = {}

    def read(self, key: str) -> bytes:
        data = self.storage.read(key)
        if key not in self.passing:
            self.seen[key] = hashlib.sha256(data).hexdigest()
        return data

    def exists(self, key: str) -> bool:
        return self.storage.exists(key)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        return self.storage.list(prefix)

    def folders(self, prefix: str) -> builtins.list[str]:
        return self.storage.folders(prefix)

    def create(self, key: str, data: bytes) -> None:
        self.storage.create(key, data)

    def put(self, key: str, data: bytes) -> None:
        self.storage.put(key, data)

    def put_file(self, key: str, path: Path) -> None:
        self.storage.put_file(key, path)

    def delete(self, key: str) -> None:
        self.storage.delete(key)

    def erase(self, key: str) -> None:
        self.storage.erase(key)

    def now(self) -> float:
        return self.storage.now()

    def uri(self, key: str = "") -> str:
        return self.storage.uri(key)

    def arrow(self) -> tuple[fs.FileSystem, str]:
        return self.storage.arrow()


def unwrap(storage: Storage) -> Storage:
    """The store itself, behind whatever notes or hides what is read through it: for what only a kind of store has."""
    while isinstance(storage, RecordedReads):
        storage = storage.storage
    return storage


class PinnedStorage(RecordedReads):
    """A store of which only some keys are seen (None: all of them); nothing can be written.

    `instead`: key -> bytes that are read in place of what lies there. `beside`: folders that are listed as they lie.
    """

    def __init__(self, storage: Storage, keys: Collection[str] | None, instead: Mapping[str, bytes] | None = None,
                 beside: tuple[str, ...] = ()) -> None:
        super().__init__(storage)
        self.beside = beside
        self.instead: Mapping[str, bytes] = instead or {}
        self.keys = None if keys is None else frozenset(keys) | self.instead.keys()

    def read(self, key: str) -> bytes:
        if self.keys is not None and key not in self.keys and not self._is_beside(key):
            raise NotFound(f"{self.uri(key)}: not among what it rests on.")
        return self.instead[key] if key in self.instead else super().read(key)

    def exists(self, key: str) -> bool:
        shown = self.keys is None or key in self.keys or self._is_beside(key)
        return shown and (key in self.instead or self.storage.exists(key))

    def _is_beside(self, key: str) -> bool:
        return key.startswith(self.beside)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        if self.keys is None or self._is_beside(prefix):
            return self.storage.list(prefix)
        return (Entry(key, 0, "") for key in sorted(self.keys) if key.startswith(prefix) and self.exists(key))

    def folders(self, prefix: str) -> builtins.list[str]:
        if self.keys is None:
            return self.storage.folders(prefix)
        below = (key.removeprefix(prefix) for key in self.keys if key.startswith(prefix))
        return sorted({rest.partition("/")[0] for rest in below if "/" in rest})

    def create(self, key: str, data: bytes) -> None:
        raise RootError(f"{self.uri(key)}: what is checked is only read.")

    put = create

    def put_file(self, key: str, path: Path) -> None:
        raise RootError(f"{self.uri(key)}: what is checked is only read.")

    def delete(self, key: str) -> None:
        raise RootError(f"{self.uri(key)}: what is checked is only read.")

    erase = delete
