"""Opening a root: the store that its scheme names, and the marker that says that it is one of Trueup's."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from contract import clock, jsonio
from contract.errors import NotFound, RootError, UsageError, shorten
from contract.layout import MARKER
from contract.stores.recorded import unwrap
from contract.stores.store import Storage, create_if_absent

SCHEMA = "1"


def open_storage(root: str, hurried: bool = False) -> Storage:
    """The store behind a root: a folder (`/data/x`, `file:///data/x`) or `s3://bucket/prefix`.

    Opens only; `open_root` also checks the marker. `hurried`, for readers: S3 is given up after seconds, not minutes. Raises
    UsageError for any other scheme.
    """
    check_text(root, "root")
    scheme = root.partition("://")[0] if "://" in root else None
    if scheme == "s3":
        from contract.stores.s3 import S3Storage

        clock.refuse_on_s3(root)
        return S3Storage(root, hurried)
    if scheme in (None, "file"):
        from contract.stores.local import LocalStorage

        return LocalStorage(local_path(root))
    raise UsageError(f"root {root!r}: expected a folder, file:///… or s3://bucket/prefix, got the scheme {scheme!r}.")


def check_text(text: str, what: str) -> None:
    """Raises UsageError for a text that no file system takes and no document holds: a NUL, or bytes that were no UTF-8."""
    if "\0" in text or not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise UsageError(f"{what} {shorten(text)}: expected text in UTF-8 without a NUL character, got other bytes.")


def local_path(root: str) -> Path:
    """The folder of a local root, absolute."""
    try:
        path = unquote(urlparse(root).path) if root.startswith("file://") else root
        return Path(path).expanduser().absolute()
    except (ValueError, RuntimeError) as error:  # an address that is none, the home of a user that there is not
        raise UsageError(f"root {root!r}: expected a folder, file:///… or s3://bucket/prefix ({error}).") from None


def open_root(root: str, create: bool = False) -> Storage:
    """A store whose marker says that it is a Trueup root of our schema.

    With `create`, a root without a marker becomes one, of a new id. Without, a missing root is a RootError; a folder that has no
    marker yet holds other services' logs, which are read as they lie (schema 1).
    """
    storage = open_storage(root)
    try:
        document = jsonio.loads(storage.read(MARKER))
    except NotFound:
        if create:
            return _mark(storage, root)
        if not any(storage.folders("")):
            raise RootError(
                f"root {root!r}: expected a Trueup root, found nothing there. "
                f"Check --root / TRUEUP_ROOT, or make one: `trueup publish` and `trueup import` do."
            ) from None
        return _expect_root(storage, None)
    except ValueError as error:
        raise RootError(f"root {root!r}: {MARKER} is no JSON ({error}). Restore it: {{\"schema\": \"1\"}}.") from error
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise RootError(f"root {root!r} has schema {found!r}; this Trueup reads and writes schema {SCHEMA!r}. "
                        f"Use the version that wrote it, or another root.")
    return _expect_root(storage, document)


def _mark(storage: Storage, root: str) -> Storage:
    document = {"schema": SCHEMA, "id": os.urandom(8).hex()}
    return _expect_root(storage, document) if create_if_absent(storage, MARKER, jsonio.dumps(document)) else open_root(root)


def _expect_root(storage: Storage, marker: dict[str, Any] | None) -> Storage:
    from contract.stores.local import LocalStorage, read_id

    if isinstance(storage, LocalStorage):
        storage.must_exist, storage.root_id = True, None if marker is None else read_id(marker)
    return storage


def find_root_id(storage: Storage) -> str | None:
    """The id of a local root; None on S3, where nothing is mounted, and for a folder without a marker."""
    return getattr(unwrap(storage), "root_id", None)


def find_region(storage: Storage) -> str | None:
    """The region of a root's bucket; None for a folder. UsageError where no region is known, RootError where nobody answers."""
    find = getattr(unwrap(storage), "find_region", None)
    return None if find is None else find()


def explain_lost_root(storage: Storage) -> str | None:
    """Why a local root cannot be written to, as one whose disk is not mounted; None when it is there, and on S3."""
    from contract.stores.local import LocalStorage

    try:
        if isinstance(store := unwrap(storage), LocalStorage):
            store.check_root()
    except RootError as error:
        return str(error)
    return None


def make_private(storage: Storage, folder_key: str) -> None:
    """Makes a folder (its key ends with '/') that only those of the root may read, or makes it so; on S3 there is nothing to do.

    For what programs of others write below it, with rights of their own. RootError.
    """
    from contract.stores.local import LocalStorage

    if isinstance(store := unwrap(storage), LocalStorage):
        store.make_private(folder_key)


def read_json(storage: Storage, key: str) -> dict[str, Any]:
    """The JSON object under a key; NotFound when there is none, DamagedDocument names one that is no JSON object."""
    return jsonio.parse_object(storage.read(key), storage.uri(key))
