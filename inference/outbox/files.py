"""The files of an outbox's folder: one process has them, and no other user of the machine."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from contract.errors import UsageError
from contract.stores.private import Modes, open_new, restrict

DATABASE, LOCK = "outbox.sqlite3", "lock"
FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", LOCK)


def prepare_file(folder: Path) -> Path:
    """Makes SQLite's file, and keeps others from the rows and pictures of the folder, those of earlier releases too.

    SQLite gives its log the rights of its file. A folder in which something else lies is not ours to close.
    """
    with suppress(FileExistsError):
        open_new(folder / DATABASE).close()
    for name in FILES:
        restrict(folder / name, Modes().file)
    if set(os.listdir(folder)) <= set(FILES):
        restrict(folder, Modes().folder)
    return folder / DATABASE


def lock(folder: Path) -> IO[str]:
    """Opens the lock file, held until it is closed. UsageError when another process holds it."""
    file = open(folder / LOCK, "a+")  # noqa: SIM115  (held as long as the outbox is open)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UsageError(f"outbox {folder}: another process has it open. Every service needs its own: "
                         f"name another with --outbox.") from None
    return file
