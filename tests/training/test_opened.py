"""Which files are opened, as the kernel logs it (inotify): training leaves the holdout closed, the assessment opens it."""

import ctypes
import os
import select
import struct
import sys
from contextlib import contextmanager

import pytest

from training.assess import assess

IN_OPEN, IN_MOVED_TO, NONBLOCK = 0x20, 0x80, 0o4000
LOST = -1  # the watch of an event that stands for those that found no room


@contextmanager
def logged(masks):
    """Collects (folder, name) of what any process does with the files of folders, in its order; `masks`: folder -> which."""
    libc, events = ctypes.CDLL(None, use_errno=True), []
    log = libc.inotify_init1(NONBLOCK)
    folders = {libc.inotify_add_watch(log, os.fsencode(folder), mask): folder for folder, mask in masks.items()}
    assert len(folders) == len(masks) and min(folders) >= 0
    try:
        yield events
        while _waiting(log):
            data = os.read(log, 1 << 20)
            while data:
                watch, _, _, length = struct.unpack_from("iIII", data)
                assert watch != LOST, "more happened than the kernel keeps"
                events.append((folders[watch], data[16:16 + length].rstrip(b"\0").decode()))
                data = data[16 + length:]
    finally:
        os.close(log)


@contextmanager
def opened(folder):
    """Collects the names of the files of a folder that any process opens."""
    names = []
    with logged({folder: IN_OPEN}) as events:
        yield names
    names += [name for _, name in events]


def _waiting(log):
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
