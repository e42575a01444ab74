"""Processes that a test starts together and ends together, and what runs below them."""

import os
import signal
import socket
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self


def below(pid: int) -> list[int]:
    """The ids of all processes below one, parents before their children."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def command_line(pid: int) -> str:
    """The command line of a process, a NUL after each word; empty when the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""


def kill(pid: int) -> None:
    """Sends SIGKILL, unless the process is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def find_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Daemons(ABC):
    """A context of processes: `_up` starts them, `__exit__` ends those that were started."""

    def __enter__(self) -> Self:
        try:
            self._up()
        except BaseException:  # also a time-out: nothing of ours stays behind
            self.__exit__()
            raise
        return self

    @abstractmethod
    def _up(self) -> None: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...
