"""Who holds a run: a process, named so that another one on the same machine can tell whether it is gone."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

from contract import clock
from contract.documents.document import Document


class RunOwner(Document):
    """One owner of a run (`owner-<k>.json`)."""

    host: str
    boot: str | None = None  # of the machine; None where there is no /proc
    pid_namespace: str | None = None
    pid: int
    process_started: str | None = None  # in clock ticks since boot: a pid is used again, a pair of both is not
    since: str
    took_over_from: int | None = None

    def __str__(self) -> str:
        return f"host {self.host}, process {self.pid}, since {self.since}"


def me(took_over_from: int | None = None) -> RunOwner:
    """This process."""
    return RunOwner(host=socket.gethostname(), boot=_boot(), pid_namespace=_namespace(), pid=os.getpid(),
                    process_started=find_start(os.getpid()), since=clock.iso(clock.now()), took_over_from=took_over_from)


def has_ended(holder: RunOwner) -> bool:
    """Whether the holder's process certainly has ended; False when that cannot be known from here.

    Its beat would tell as well, after a minute. But a process of this very machine can be looked up, and somebody who
    starts a killed cycle again should not wait for what is known. Only the same boot and the same pid namespace count:
    containers share a host's name and boot, and in each of them a pid means another process.
    """
    here = (holder.host, holder.boot, holder.pid_namespace) == (socket.gethostname(), _boot(), _namespace())
    if not here or not holder.boot or not holder.process_started:
        return False
    return find_start(holder.pid) != holder.process_started


def find_start(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None when there is none, or when it is a zombie."""
    try:
        # The command's name, in brackets, may hold spaces and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _boot() -> str | None:
    return _read("/proc/sys/kernel/random/boot_id") if sys.platform == "linux" else None


def _namespace() -> str | None:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def _read(path: str) -> Any:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
