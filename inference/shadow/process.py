"""The shadow's process as the service sees it: started, asked, and ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

from contract import clock
from contract.errors import VersionFailed

LOOK_S = 0.2  # so often whoever waits for a reply asks whether it is still wanted
HUNG_S = 600.0  # without a reply: it computes only when nobody else does, so a busy machine makes it wait for minutes
END_S = 5.0
WORKER = "inference.shadow.worker"


@dataclass(frozen=True)
class ToLoad:
    """What the process is to load, and how it is to compute it."""

    root: str
    model: str
    version: str
    device: str
    max_batch: int
    log_all_classes: bool
    threads: int


class NoLongerWanted(Exception):
    """Nobody waits for the reply any more."""


class ShadowProcess:
    """One version, loaded in a process of its own. One thread may use it."""

    def __init__(self, to_load: ToLoad, is_wanted: Callable[[], bool]) -> None:
        """Starts the process and waits until the version is loaded.

        `is_wanted`: asked while waiting, here and later. NoLongerWanted; VersionFailed.
        """
        self.to_load, self._is_wanted = to_load, is_wanted
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", WORKER, str(theirs.fileno()), str(os.getpid())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL)
        self._connection = Connection(ours.detach())
        try:
            self._send(asdict(to_load))
            loaded = self._receive()
            if "error" in loaded:
                raise VersionFailed(f"{self._name}: {loaded['error']}")
        except BaseException:
            self.close()
            raise
        self.weights_sha256: str = loaded["weights_sha256"]
        self.preprocess_hash: str = loaded["preprocess_hash"]

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def compute(self, pictures: Sequence[bytes]) -> list[tuple[list[tuple[str, float]], str | None]]:
        """Returns ((label, probability) best first, None) of each picture, or ([], what its computation raised).

        NoLongerWanted; VersionFailed when the process ended or hangs.
        """
        self._send({"pictures": len(pictures)}, *pictures)
        reply = self._receive()
        tops = [[(label, p) for label, p in top] for top in reply["tops"]]
        return list(zip(tops, reply["errors"], strict=True))

    def kill(self) -> None:
        """Ends the process, so that whoever talks to it hears that it ended. Any thread may call it."""
        self._process.kill()

    def close(self) -> None:
        """Ends the process at once, whatever it does."""
        self._connection.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # one that waits for a device cannot end
            self._process.wait(END_S)

    def _send(self, header: dict[str, Any], *pictures: bytes) -> None:
        try:
            self._connection.send_bytes(json.dumps(header).encode())
            for picture in pictures:
                self._connection.send_bytes(picture)
        except OSError as error:
            raise self._explain_end() from error

    def _receive(self) -> dict[str, Any]:
        until = clock.monotonic() + HUNG_S
        try:
            while not self._connection.poll(LOOK_S):
                if not self._is_wanted():
                    raise NoLongerWanted
                if clock.monotonic() > until:
                    raise VersionFailed(f"{self._name}: its process has not replied for {HUNG_S:.0f} s.")
            reply: dict[str, Any] = json.loads(self._connection.recv_bytes())
            return reply
        except (EOFError, ConnectionError) as error:
            raise self._explain_end() from error

    def _explain_end(self) -> VersionFailed:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        return VersionFailed(f"{self._name}: its process ended with the status {self._process.returncode}.")

    @property
    def _name(self) -> str:
        return f"{self.to_load.model} version {self.to_load.version}"
