"""The root and the outbox that the last release with rules 1 wrote (README.md beside this file)."""

import sqlite3
import tarfile
from pathlib import Path

from contract import clock
from tests.upgrade.write_root import CLASSES, DAYS, MODEL, NOW, ROWS, make_label, make_picture

__all__ = ["CLASSES", "DAYS", "MODEL", "NOW", "ROWS", "make_label", "make_picture", "stand_still", "unpack"]
ARCHIVE = Path(__file__).with_name("root-of-rules-1.tar.gz")


def unpack(folder: Path) -> str:
    """Unpacks `root` and `outbox` into a folder, times of the files included, which are a disk's etags; returns the root."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    root = str(folder / "root")
    with sqlite3.connect(folder / "outbox" / "outbox.sqlite3") as db:  # which knows the address of its root
        db.execute("UPDATE meta SET value = ? WHERE key = 'root'", (f"file://{root}",))
    db.close()
    return root


def stand_still(monkeypatch) -> None:
    """A day after the root was written, so that a new run is none of the same moment."""
    monkeypatch.setattr(clock, "now_us", lambda: NOW + 3600 * 1_000_000)
