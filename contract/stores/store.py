"""What a store can do: twelve verbs. The implementations are contract/stores/local.py and contract/stores/s3.py.

Four read (`read`, `exists`, `list`, `folders`), three write (`create`, `put`, `put_file`), two remove (`delete`,
`erase`), and three describe the store itself (`now`, `uri`, `arrow`). Whatever else is wanted is written over these,
once: `create_if_absent` below.

Keys are relative to the root, with forward slashes. `create` is exclusive: it either makes a new object or raises
AlreadyExists, and never shows a half-written one. `put` replaces. Listings are sorted by key.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from contract.errors import AlreadyExists

if TYPE_CHECKING:
    from pyarrow import fs

LONGEST_NAME, LONGEST_KEY = 255, 1024  # bytes: of a file's name on a disk, of a key on S3


def may_be_key(text: str) -> bool:
    """Whether an object under the root can have this key: no address, no path that leads elsewhere, and no longer than
    stores take."""
    parts = text.split("/")
    strange = not text or text.startswith("/") or "://" in text or "\0" in text or ".." in parts
    return not strange and len(text.encode(errors="replace")) <= LONGEST_KEY and all(
        len(part.encode(errors="replace")) <= LONGEST_NAME for part in parts)


@dataclass(frozen=True, order=True)
class Entry:
    """One object: its key, its size in bytes, and its etag (on a disk: modification time in ns, as text)."""

    key: str
    size: int
    etag: str


class Storage(Protocol):
    """What a store can do. One behaviour suite (tests/behaviours/) runs against every implementation."""

    root: str

    def read(self, key: str) -> bytes:
        """Returns the bytes under a key; NotFound when there are none."""

    def exists(self, key: str) -> bool:
        """Returns whether an object lies under the key."""

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Yields all objects whose key begins with `prefix`, by key."""

    def folders(self, prefix: str) -> builtins.list[str]:
        """Lists the folders directly under `prefix` (which ends with '/'), by name, without listing what is in them."""

    def create(self, key: str, data: bytes) -> None:
        """Makes a new object; AlreadyExists when there is one. After a lost response it reads back and compares."""

    def put(self, key: str, data: bytes) -> None:
        """Makes or replaces an object."""

    def put_file(self, key: str, path: Path) -> None:
        """Like `put`, from a local file, without holding it in memory."""

    def delete(self, key: str) -> None:
        """Removes an object; nothing happens when there is none."""

    def erase(self, key: str) -> None:
        """Removes an object for good, with a final '/' a whole folder: every version that the store keeps, unfinished
        uploads, and what writers that died left beside it. RootError when the store refuses."""

    def now(self) -> float:
        """Returns seconds since 1970 by the store's own clock, to a second or better. RootError when it cannot be asked."""

    def uri(self, key: str = "") -> str:
        """Returns where an object lies, for people and engines: a percent-encoded `file:///…`, or `s3://…`."""

    def arrow(self) -> tuple[fs.FileSystem, str]:
        """Returns a pyarrow file system and the base path of the root in it."""


def create_if_absent(storage: Storage, key: str, data: bytes) -> bool:
    """Creates an object unless there is one: True when this call made it, False when one was there, which stays."""
    try:
        storage.create(key, data)
    except AlreadyExists:
        return False
    return True
