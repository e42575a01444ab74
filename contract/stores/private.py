"""Files and folders that other users of a machine cannot read, whatever the umask: rows, pictures and secrets are in them.

A root that a group works on says so by its top folder, which somebody made for it with the setgid bit (`chmod 2770`): what is
made below has that group, and the group's rights of the top folder. Others get nothing.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple


class Modes(NamedTuple):
    """The rights of new files and folders."""

    file: int = 0o600
    folder: int = 0o700


def find_modes(top: Path) -> Modes:
    """Returns the rights of what is made below a top folder: the owner's alone, unless it is a group's."""
    try:
        mode = top.stat().st_mode
    except OSError:
        return Modes()
    group = mode & stat.S_IRWXG if mode & stat.S_ISGID else 0
    return Modes(0o600 | group & 0o060, stat.S_ISGID | 0o700 | group) if group else Modes()


def open_new(path: Path, mode: int = Modes().file) -> IO[bytes]:
    """Makes a file and opens it for writing. FileExistsError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    if mode != Modes().file:
        os.fchmod(handle, mode)  # the umask has taken rights of the group
    return os.fdopen(handle, "wb")


def make_folder(folder: Path, mode: int = Modes().folder) -> None:
    """Makes a folder and the missing ones above it; those that are there stay as they are. OSError."""
    missing = []
    while not folder.is_dir() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        with suppress(FileExistsError):  # made meanwhile, or a file, which the next step says
            one.mkdir(mode)
            if mode != Modes().folder:
                one.chmod(mode)


def restrict(path: Path, mode: int) -> None:
    """Takes from a file or folder the rights beyond `mode`; nothing happens where it is not there, or is somebody else's."""
    with suppress(FileNotFoundError, PermissionError):
        found = stat.S_IMODE(path.stat().st_mode)
        if found & ~mode & 0o777:
            path.chmod(found & ~0o777 | found & mode)
