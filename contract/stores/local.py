"""A folder as a store: temporary file, fsync, then `link` (create) or `rename` (put), so readers see all or nothing.

Files and folders are their owner's alone, or a group's (contract/stores/private.py).

A folder may be a disk that is mounted there, and an unmounted one leaves an empty folder behind, or none. So the store of a
root (`open_root` tells it) makes no top folder, and looks for the root's id before and after each write.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from contract.errors import AlreadyExists, NotFound, RootError, shorten
from contract.layout import MARKER
from contract.stores.private import find_modes, make_folder, open_new, restrict
from contract.stores.store import Entry

if TYPE_CHECKING:
    from pyarrow import fs

log = logging.getLogger(__name__)
# Names that begin with a dot are no data, so a temporary file is never listed.
TEMPORARY = ".trueup-"
PIECE = 1 << 20  # bytes that are copied at a time
NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ}


class LocalStorage:
    """Objects as files under one folder.

    `must_exist`: the top folder is never made by writing. `root_id`: the id in the marker of the root, "" for a marker
    without one; None: not known, and not looked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder.as_uri()
        self.must_exist = False
        self.root_id: str | None = None

    def check_root(self) -> None:
        """RootError unless the folder that must be there is, and holds the marker with the id that is known."""
        if self.must_exist and not self.folder.is_dir():
            raise RootError(f"root {self.root!r}: expected a folder, found none. Check its path and that its disk is "
                            f"mounted; `trueup publish` and `trueup import` make a new root.")
        if self.root_id is not None and (found := self._read_root_id()) != self.root_id:
            what = "no marker of a root" if found is None else f"the root of id {found or 'none'}"
            raise RootError(f"root {self.root!r}: expected the root of id {self.root_id or 'none'} in this folder, found "
                            f"{what}. Is its disk mounted? Nothing was written.")

    def _read_root_id(self) -> str | None:
        try:
            return read_id(json.loads((self.folder / MARKER).read_bytes()))
        except (OSError, ValueError):
            return None

    def path(self, key: str) -> Path:
        """The file of a key; a key that would leave the root is refused, and one that no file can have."""
        if key.startswith("/") or ".." in key.split("/"):
            raise RootError(f"key {shorten(key)} would leave the root: expected a relative path without '..'.")
        if _is_impossible(key):
            raise RootError(f"key {shorten(key)}: expected text in UTF-8 without a NUL character.")
        return self.folder / key

    def read(self, key: str) -> bytes:
        if _is_impossible(key):
            raise NotFound(f"{self.root}: no object can have the key {shorten(key)}.")
        path = self.path(key)
        try:
            return path.read_bytes()
        except OSError as error:
            raise self._explain(error, key) from None

    def _explain(self, error: OSError, key: str) -> NotFound | RootError:
        if error.errno in NOT_THERE:
            return NotFound(f"{self.uri(key)}: no such object.")
        return RootError(f"{self.uri(key)} cannot be read: {error.strerror}. Check its owner, rights and disk.")

    def exists(self, key: str) -> bool:
        if _is_impossible(key):
            return False
        path = self.path(key)
        try:
            return path.is_file()
        except OSError as error:  # a name that is too long, a folder that may not be looked into
            found = self._explain(error, key)
        if isinstance(found, NotFound):
            return False
        raise found

    def list(self, prefix: str = "") -> Iterator[Entry]:
        start = self.path(prefix.rpartition("/")[0])
        yield from sorted(e for e in self._walk(start) if e.key.startswith(prefix))

    def _walk(self, start: Path) -> Iterator[Entry]:
        for folder, _, names in os.walk(start):
            for name in names:
                if name.startswith(TEMPORARY):
                    continue
                if _is_no_text(name):
                    log.warning("not read: %s in %s: its name is no UTF-8. Rename it.", ascii(name), ascii(folder))
                    continue
                path = Path(folder, name)
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue  # removed while we looked
                yield Entry(path.relative_to(self.folder).as_posix(), status.st_size, str(status.st_mtime_ns))

    def folders(self, prefix: str) -> builtins.list[str]:
        if _is_impossible(prefix):
            return []
        path = self.path(prefix)
        try:
            with os.scandir(path) as found:
                return sorted(e.name for e in found if e.is_dir() and not _is_no_text(e.name))
        except OSError as error:
            found_out = self._explain(error, prefix)
        if isinstance(found_out, NotFound):
            return []
        raise found_out

    def create(self, key: str, data: bytes) -> None:
        target = self.path(key)
        if self.exists(key):
            raise AlreadyExists(f"{self.uri(key)} exists already.")
        aside = self._write_aside(target, lambda file: file.write(data))
        try:
            os.link(aside, target)
        except FileExistsError:
            raise AlreadyExists(f"{self.uri(key)} exists already.") from None
        finally:
            aside.unlink(missing_ok=True)
        self._make_durable(target)

    def put(self, key: str, data: bytes) -> None:
        self._replace(key, lambda file: file.write(data))

    def put_file(self, key: str, path: Path) -> None:
        with open(path, "rb") as source:
            self._replace(key, lambda file: shutil.copyfileobj(source, file, PIECE))

    def _replace(self, key: str, fill: Callable[[IO[bytes]], object]) -> None:
        target = self.path(key)
        aside = self._write_aside(target, fill)
        try:
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)
        self._make_durable(target)

    def delete(self, key: str) -> None:
        self.check_root()
        self.path(key).unlink(missing_ok=True)

    def erase(self, key: str) -> None:
        self.check_root()
        target, whole = self.path(key), key.endswith("/")
        for folder, _, names in os.walk(target if whole else target.parent):
            for name in names:
                # A writer that is at work notices that its file has gone and writes again; one that died never will.
                if whole or name == target.name or name.startswith(TEMPORARY):
                    Path(folder, name).unlink(missing_ok=True)
            _sync_folder(Path(folder))
            if not whole:
                return

    def now(self) -> float:
        aside = self._write_aside(self.folder / "now", lambda file: None)
        try:
            return aside.stat().st_mtime
        finally:
            aside.unlink(missing_ok=True)

    def uri(self, key: str = "") -> str:
        return f"{self.root}/{quote(key)}" if key else self.root

    def arrow(self) -> tuple[fs.FileSystem, str]:
        from pyarrow import fs

        return fs.LocalFileSystem(), str(self.folder)

    def make_private(self, folder_key: str) -> None:
        """Makes a folder with the rights of this root, or takes from it those that go beyond. RootError."""
        self.check_root()
        folder, modes = self.path(folder_key), find_modes(self.folder)
        try:
            make_folder(folder, modes.folder)
            restrict(folder, modes.folder)
        except OSError as error:
            raise RootError(f"root {self.root!r} is not writable: {error}. Check its owner, rights and disk.") from error

    def _write_aside(self, target: Path, fill: Callable[[IO[bytes]], object]) -> Path:
        """Writes a temporary file beside the target, durably, and returns it; none is left where that fails."""
        self.check_root()
        aside = target.parent / f"{TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"
        modes = find_modes(self.folder)
        try:
            make_folder(target.parent, modes.folder)
            with open_new(aside, modes.file) as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:  # no rights, a read-only or full disk, a file where a folder should be
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise RootError(f"root {self.root!r} is not writable: {error}. Check its owner, rights and disk.") from error
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        return aside

    def _make_durable(self, target: Path) -> None:
        _sync_folder(target.parent)
        if target.name != MARKER:
            self.check_root()  # the disk may have gone between the first look and the writing


def read_id(marker: object) -> str:
    """Returns the id in the document of a marker; "" when it has none, as those of earlier releases."""
    found = marker.get("id") if isinstance(marker, dict) else None
    return found if isinstance(found, str) else ""


def _is_impossible(key: str) -> bool:
    """Whether no file can have this key: it holds NUL, or half of a surrogate pair."""
    return "\0" in key or _is_no_text(key)


def _is_no_text(name: str) -> bool:
    """Whether a name has bytes that are no UTF-8: no key of ours, and nothing that a document could name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False


def _sync_folder(folder: Path) -> None:
    """A new name is durable only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
