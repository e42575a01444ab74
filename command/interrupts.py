"""Ctrl-C: a command says that it was interrupted, ends with 130, and takes along what it started; no library's traceback.

Spark answers Ctrl-C from a handler of its own, in the middle of a conversation with Java, and hangs; a pool of processes hangs
when one of them died with a lock in its hand. So whatever a library makes of it, GRACE_S after the first Ctrl-C, or at the
second one, the process is over.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from contract import clock

INTERRUPTED = 130  # as shells say it of a process that Ctrl-C ended
GRACE_S, END_S = 5.0, 2.0
_came = threading.Event()
_started: list[int] = []  # what ran below this process when Ctrl-C came
_shielded = False
_ending = False  # from here on nobody's child outlives this process
_said = threading.Lock()  # whoever takes it says that Ctrl-C came


def was_interrupted() -> bool:
    """Says whether Ctrl-C came."""
    return _came.is_set()


def may_say() -> bool:
    """Says whether this caller is the one to say that the process was interrupted: nobody has, and others will not."""
    return not _came.is_set() or _said.acquire(blocking=False)


@contextmanager
def heed_interrupts() -> Iterator[None]:
    """For a command that is its process: Ctrl-C in the block is a KeyboardInterrupt, and the end if that leads nowhere.

    Does nothing in another thread, or where another handler of SIGINT is set.
    """
    if not is_default():
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def is_default() -> bool:
    """Says whether this is the thread that signals reach, and SIGINT has Python's own handler."""
    return (threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler)


@contextmanager
def shield_forks() -> Iterator[None]:
    """Processes forked in the block hear no Ctrl-C, nor do their children: who forked them ends them."""
    global _shielded
    _shielded = True
    try:
        yield
    finally:
        _shielded = False


def _begin_child() -> None:
    if _ending:
        os._exit(INTERRUPTED)
    if _shielded:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


os.register_at_fork(after_in_child=_begin_child)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    if _came.is_set():
        end_at_once()
    _silence()
    _came.set()
    _started.extend(list_descendants(os.getpid()))
    timer = threading.Timer(GRACE_S, end_at_once)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def _silence() -> None:
    """Keeps other threads and destructors from printing how they failed: they were interrupted."""
    def say_nothing(*_: Any) -> None:
        return None

    logging.disable(logging.CRITICAL)
    threading.excepthook = sys.unraisablehook = say_nothing


def end_at_once() -> NoReturn:
    """Ends the process, and what it started, wherever it is."""
    with suppress(OSError, ValueError):
        shown = "\x1b[?25h" if sys.stderr.isatty() else ""  # a bar that was cut off has hidden the cursor
        os.write(2, (shown + ("error: interrupted.\n" if may_say() else "")).encode())
    end_started()
    os._exit(INTERRUPTED)


def end_started() -> None:
    """Ends what ran below this process when Ctrl-C came, and has not ended by itself: asks first, and soon does not ask.

    A pool starts another worker for each that ends, also after the last look at who is there: such a child ends as it begins.
    """
    global _ending
    if not was_interrupted():
        return
    _ending = True
    asked: set[int] = set()
    end = clock.monotonic() + END_S
    while clock.monotonic() < end and (left := _find_left()):
        for pid in left - asked:
            _send(pid, signal.SIGTERM)
        asked |= left
        threading.Event().wait(0.05)
    for pid in _find_left():
        _send(pid, signal.SIGKILL)


def _find_left() -> set[int]:
    return {pid for pid in {*_started, *list_descendants(os.getpid())} if _lives(pid)}


def _send(pid: int, what: signal.Signals) -> None:
    """Sends a signal to a process that still is one of ours."""
    if _lives(pid):
        with suppress(OSError):
            os.kill(pid, what)


def _lives(pid: int) -> bool:
    found = _read_stat(pid)
    return found is not None and found[0] != "Z"


def list_descendants(of: int) -> list[int]:
    """Lists the processes that a process started, and those that these started; empty where there is no /proc."""
    below: dict[int, list[int]] = {}
    with suppress(OSError):
        for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()):
            if (found := _read_stat(pid)) is not None:
                below.setdefault(found[1], []).append(pid)
    listed: list[int] = []
    waiting = [of]
    while waiting:
        children = below.get(waiting.pop(), [])
        listed += children
        waiting += children
    return listed


def _read_stat(pid: int) -> tuple[str, int] | None:
    """Reads a process's state and its parent; None when there is none of that number."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent = file.read().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return state.decode(), int(parent)
