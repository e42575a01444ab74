"""Day tables beside the service: a folder of Arrow files on its own disk, mapped into memory, never in the bucket.

The name of a file is the hash of what it was made from, so it is never stale; the least recently used files go first.
Without a disk to write to, the last few days are held in memory.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from contract import clock, jsonio
from contract.rows.listing import DayListing, list_day
from contract.stores.private import Modes, make_folder
from contract.stores.store import Storage
from inference.pictures.day_table import make_day_table

if TYPE_CHECKING:
    import pyarrow as pa

FORM = "1"  # of the tables: another release's files are made again
IN_MEMORY, OPEN = 8, 512
MOST_BYTES = 4 << 30  # some 30 million predictions
LISTED_S = 5.0  # for so long a listing is used again


def find_cache_folder(root: str) -> Path:
    """Finds the folder for a root in the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return home / "trueup" / f"pictures-{hashlib.sha256(root.rstrip('/').encode()).hexdigest()[:12]}"


class KeptDays:
    """The day tables of one root. Threads may share it."""

    def __init__(self, storage: Storage, roles: dict[str, str], folder: Path | None = None) -> None:
        """`roles`: `evaluate.roles` of the settings."""
        self.storage, self.roles = storage, roles
        self.folder = folder or find_cache_folder(storage.root)
        self.unreadable: dict[str, list[str]] = {}  # day -> files that could not be read
        self._lock = threading.Lock()
        self._listings: dict[str, tuple[float, DayListing]] = {}
        self._open: OrderedDict[tuple[str, str], pa.Table] = OrderedDict()
        self._in_memory: OrderedDict[tuple[str, str], pa.Table] = OrderedDict()

    def list(self, day: str) -> DayListing:
        """Lists a day's files, as they were at most LISTED_S ago."""
        now = clock.monotonic()
        known = self._listings.get(day)
        if known is None or now - known[0] > LISTED_S:
            known = self._listings[day] = now, list_day(self.storage, day)
        return known[1]

    def is_kept(self, day: str) -> bool:
        """Says whether the day's table need not be made."""
        name = self._name(self.list(day))
        return (day, name) in self._open or (day, name) in self._in_memory or (self.folder / name).exists()

    def read(self, day: str) -> pa.Table:
        """Returns the day's table (day_table.COLUMNS), made now when it is not kept."""
        listing = self.list(day)
        name = self._name(listing)
        found = self._find((day, name)) or self._map((day, name))
        if found is not None:
            return found
        table, self.unreadable[day] = make_day_table(self.storage, listing, self.roles)
        return self._keep((day, name), table)

    def _name(self, listing: DayListing) -> str:
        made_from = [FORM, sorted(self.roles.items()), [[e.key, str(e.size), e.etag] for e in listing.predictions]]
        return f"{listing.day}-{jsonio.digest(made_from)[:32]}.arrow"

    def _find(self, key: tuple[str, str]) -> pa.Table | None:
        with self._lock:
            for held in (self._open, self._in_memory):
                if key in held:
                    held.move_to_end(key)
                    return held[key]
        return None

    def _map(self, key: tuple[str, str]) -> pa.Table | None:
        import pyarrow as pa

        try:
            with pa.memory_map(str(self.folder / key[1])) as file, pa.ipc.open_file(file) as reader:
                table = reader.read_all()
        except (OSError, pa.ArrowException):  # not there, or cut off by a full disk: it is made again
            return None
        with suppress(OSError):
            os.utime(self.folder / key[1])
        return self._hold(self._open, key, table, OPEN)

    def _keep(self, key: tuple[str, str], table: pa.Table) -> pa.Table:
        import pyarrow as pa

        if self.unreadable[key[0]]:  # what hinders may pass: it is tried again when the memory has let it go
            return self._hold(self._in_memory, key, table, IN_MEMORY)
        aside = self.folder / f".{key[1]}.{os.getpid()}-{threading.get_ident()}"
        try:
            make_folder(self.folder, Modes().folder)
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, Modes().file), "wb") as file, \
                    pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
            aside.replace(self.folder / key[1])
            self._make_room(key)
        except OSError:
            with suppress(OSError):
                aside.unlink()
            return self._hold(self._in_memory, key, table, IN_MEMORY)
        return self._map(key) or table

    def _hold(self, held: OrderedDict[tuple[str, str], pa.Table], key: tuple[str, str], table: pa.Table, most: int) -> pa.Table:
        with self._lock:
            for old in [k for k in held if k[0] == key[0] and k != key]:
                del held[old]
            held[key] = table
            while len(held) > most:
                held.popitem(last=False)
        return table

    def _make_room(self, key: tuple[str, str]) -> None:
        """Removes this day's earlier tables, then the least recently used ones."""
        files = []
        for path in self.folder.glob("*.arrow"):
            if path.name.startswith(f"{key[0]}-") and path.name != key[1]:
                path.unlink(missing_ok=True)
                continue
            with suppress(OSError):
                files.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= MOST_BYTES:
                break
            path.unlink(missing_ok=True)
            total -= size
