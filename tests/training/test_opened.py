"""Which files are opened, as the kernel logs it (inotify): training leaves the holdout closed, the assessment opens it."""

import ctypes
import os
import struct
import sys
from contextlib import contextmanager

import pytest

from training.assess import assess

IN_OPEN, NONBLOCK = 0x20, 0o4000


@contextmanager
def opened(folder):
    """Collects the names of the files of a folder that any process opens."""
    libc, names = ctypes.CDLL(None, use_errno=True), []
    log = libc.inotify_init1(NONBLOCK)
    assert libc.inotify_add_watch(log, os.fsencode(folder), IN_OPEN) >= 0
    try:
        yield names
        data = os.read(log, 1 << 20) if _waiting(log) else b""
        while data:
            length = struct.unpack_from("iIII", data)[3]
            names.append(data[16:16 + length].rstrip(b"\0").decode())
            data = data[16 + length:]
    finally:
        os.close(log)


def _waiting(log):
    import select

    return bool(select.select([log], [], [], 0)[0])


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: inotify is Linux's")
def test_the_holdouts_files_are_opened_by_the_assessment_alone(world):
    holdout = world.storage.path(world.made.split("holdout")[0].key).parent
    with opened(holdout) as names:
        world.train(epochs=1)
    assert names == []
    with opened(holdout.parent / "train") as train, opened(holdout) as names:
        assess(world.storage, world.registry, "1", "1")
    parts = [name for name in names if name]  # the folder itself has no name
    assert set(parts) == {os.path.basename(f.key) for f in world.made.split("holdout")} and len(parts) <= 2 * len(set(parts))
    assert train == []
