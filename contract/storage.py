"""The bucket as five verbs - read, list, create, put, delete - chosen by the root's scheme.

Keys are relative to the root, with forward slashes. `create` is exclusive: it either makes a new object or raises
AlreadyExists, and never shows a half-written one. `put` replaces. Listings are sorted by key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlparse

from contract import clock, jsonio
from contract.errors import AlreadyExists, NotFound, RootError, UsageError

SCHEMA = "1"
MARKER = "trueup.json"


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
        """The bytes under a key; NotFound when there are none."""

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """All objects whose key begins with `prefix`, by key."""

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders directly under `prefix` (which ends with '/'), sorted, without listing what is in them."""

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
        """Seconds since 1970 by the store's own clock, to a second or better. RootError when it cannot be asked."""

    def uri(self, key: str = "") -> str:
        """Where an object lies, for people and engines: a percent-encoded `file:///…`, or `s3://…`."""

    def arrow(self) -> tuple[Any, str]:
        """A pyarrow file system and the base path of the root in it."""

    def exists(self, key: str) -> bool:
        """Whether an object lies under the key."""


def open_storage(root: str) -> Storage:
    """The store behind a root: a folder (`/data/x`, `file:///data/x`) or `s3://bucket/prefix`.

    Opens only; `open_root` also checks the marker. Raises UsageError for any other scheme.
    """
    scheme = urlparse(root).scheme if "://" in root else ""
    if scheme == "s3":
        from contract.s3_storage import S3Storage

        clock.refuse_on_s3(root)
        return S3Storage(root)
    if scheme in ("", "file"):
        from contract.local_storage import LocalStorage

        return LocalStorage(local_path(root))
    raise UsageError(f"root {root!r}: expected a folder, file:///… or s3://bucket/prefix, got the scheme {scheme!r}.")


def local_path(root: str) -> Path:
    """The folder of a local root, absolute."""
    path = unquote(urlparse(root).path) if root.startswith("file://") else root
    return Path(path).expanduser().absolute()


def open_root(root: str, create: bool = False) -> Storage:
    """A store whose marker says that it is a Trueup root of our schema.

    With `create`, a root without a marker becomes one. Without, a missing root is a RootError; a folder that has no
    marker yet holds other services' logs, which are read as they lie (schema 1).
    """
    storage = open_storage(root)
    try:
        document = jsonio.loads(storage.read(MARKER))
    except NotFound:
        if create:
            _mark(storage)
        elif not any(storage.folders("")):
            raise RootError(
                f"root {root!r}: expected a Trueup root, found nothing there. "
                f"Check --root / TRUEUP_ROOT, or create one by starting `trueup serve` or `trueup import` on it."
            ) from None
        return storage
    except ValueError as error:
        raise RootError(f"root {root!r}: {MARKER} is no JSON ({error}). Restore it: {{\"schema\": \"1\"}}.") from error
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise RootError(f"root {root!r} has schema {found!r}; this Trueup reads and writes schema {SCHEMA!r}. "
                        f"Use the version that wrote it, or another root.")
    return storage


def _mark(storage: Storage) -> None:
    try:
        storage.create(MARKER, jsonio.dumps({"schema": SCHEMA}))
    except AlreadyExists:
        open_root(storage.root)


def read_json(storage: Storage, key: str) -> Any:
    """The JSON document under a key; NotFound when there is none."""
    return jsonio.loads(storage.read(key))
