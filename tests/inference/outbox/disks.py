"""Disks that a test fills, takes away and brings back: file systems in memory, mounted as root."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.prerequisites import not_run


@contextmanager
def mount_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Makes the folder, and mounts a disk of that size there."""
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder]).returncode:
        not_run("a disk cannot be mounted", "run it as root, where mounts are allowed")
    try:
        yield folder
    finally:
        unmount(folder)


def unmount(folder: Path) -> None:
    """Takes away what is mounted at the folder, though it be in use."""
    subprocess.run(["umount", "-l", folder], check=True)
