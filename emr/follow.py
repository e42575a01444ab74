"""One stage on its cluster, from the request to the answer: ask, create or attach, follow, clean up.

Whatever happens in between, no cluster of the attempt is left: a stop cancels the step and ends the cluster, and a driver
that is killed leaves a cluster that ends by itself and is found again by the next one.
"""

import gzip
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from contract import clock
from contract.errors import NotFound, TrueupError
from contract.storage import open_storage
from contract.stores.store import Storage
from emr.account import ALIVE, Account
from emr.limits import explain_late, is_late
from emr.requests import Attempt, Reply, Request, add_attempt, find_newest

ENDED = ("TERMINATED", "TERMINATED_WITH_ERRORS")
STEP_ENDED = ("COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED")
Asked = TypeVar("Asked")
MOST_MINUTES = 1440.0
LAST_LINES = 30
LOOKS_FOR_END = 40  # how often we look until a failed cluster has ended, which is when its logs are there


class ClusterFailed(TrueupError):
    """A cluster ended without an answer of the stage; the message has what EMR says and the step's last words."""

    def __init__(self, message: str, attempt: int) -> None:
        super().__init__(message)
        self.attempt = attempt


class Interrupted(TrueupError):
    """The driver was told to stop; the cluster was ended. The run stays open."""


def print_line(line: str) -> None:
    """Prints one plain line of progress."""
    print(line, file=sys.stderr, flush=True)


@dataclass
class Follower(ABC, Generic[Asked]):
    """Runs a stage elsewhere: where that is, and what is `Asked` of the place, a subclass says."""

    storage: Storage
    poll: float = 20.0  # seconds between looks
    say: Callable[[str], None] = field(default=lambda line: print_line(line))
    _: KW_ONLY
    minutes: float = MOST_MINUTES  # until what runs is ended
    now: Callable[[], datetime] = field(default=lambda: clock.now())

    def run(self, model: str, request: Request, make: Callable[[Attempt], Asked]) -> Reply:
        """Returns the stage's answer, of an earlier attempt if there is a final one; `make` writes what is asked.

        Raises ClusterFailed, Interrupted, AccountError.
        """
        attempt = find_newest(self.storage, model, request)
        if attempt is None or self._is_over(attempt):
            # Read after the cluster was found to have ended: the answer is written before.
            if attempt is not None and (reply := attempt.read_reply()) is not None and reply.final:
                return reply
            attempt = add_attempt(self.storage, model, request)
        with interrupt_on_signals():
            try:
                return self._follow(attempt, self._start_or_attach(attempt, make))
            finally:
                self._clean(attempt)

    @abstractmethod
    def _is_over(self, attempt: Attempt) -> bool:
        """Tells whether an attempt gives no other answer than it has."""

    @abstractmethod
    def _start_or_attach(self, attempt: Attempt, make: Callable[[Attempt], Asked]) -> str:
        """Starts what the attempt asks for, or finds it started; returns its id."""

    @abstractmethod
    def _follow(self, attempt: Attempt, place: str) -> Reply:
        """Waits for the answer of what runs under that id. Raises ClusterFailed."""

    @abstractmethod
    def _clean(self, attempt: Attempt) -> None:
        """Ends everything that the attempt started."""


@dataclass
class ClusterFollower(Follower[dict[str, Any]]):
    """Runs a stage on a cluster of its own; asked are RunJobFlow's arguments."""

    account: Account = field(default_factory=Account)

    def _is_over(self, attempt: Attempt) -> bool:
        """Tells whether the attempt's cluster answered or ended."""
        if attempt.read_reply() is not None:
            return True
        cluster = attempt.read_cluster()
        return cluster is not None and self.account.describe(cluster)["Status"]["State"] not in ALIVE

    def _start_or_attach(self, attempt: Attempt, make: Callable[[Attempt], dict[str, Any]]) -> str:
        if (known := attempt.read_cluster()) is not None:
            self.say(f"    {known}: attached")
            return known
        created = self.account.create(make(attempt))
        cluster = attempt.claim(created)
        if cluster != created:  # another driver was first; its cluster counts
            self.account.stop(created)
        self.say(f"    {cluster}: {attempt.name}")
        return cluster

    def _follow(self, attempt: Attempt, cluster: str) -> Reply:
        seen, looked = "", self.now()
        while True:
            described = self.account.describe(cluster)["Status"]
            step = self.account.find_step(cluster)
            state = step["Status"]["State"] if step else "not listed yet"
            if (now := f"cluster {described['State']}, step {state}") != seen:
                self.say(f"    {cluster}: {now}")
                seen = now
            if state in STEP_ENDED or described["State"] not in ALIVE:
                reply = attempt.read_reply()
                if reply is None:
                    raise ClusterFailed(self._explain_end(cluster, described, step), attempt.n)
                return reply
            # A driver that comes later counts from the same moment.
            began = described.get("Timeline", {}).get("CreationDateTime") or looked
            if is_late(began, self.now(), self.minutes):
                raise ClusterFailed(explain_late(f"cluster {cluster}", self.minutes), attempt.n)
            self.account.sleep(self.poll)

    def _explain_end(self, cluster: str, described: dict[str, Any], step: dict[str, Any] | None) -> str:
        """Writes what EMR says of the end, and the step's own last words."""
        for _ in range(LOOKS_FOR_END):
            if described["State"] in ENDED:
                break
            self.account.sleep(self.poll)
            described = self.account.describe(cluster)["Status"]
        details = (step or {}).get("Status", {}).get("FailureDetails", {})
        reason = details.get("Message") or details.get("Reason") or described.get("StateChangeReason", {}).get("Message")
        words = self._read_last_words(cluster, step["Id"]) if step else None
        shown = f" The step's last words:\n{words}" if words else " The step left no log."
        return (f"cluster {cluster} ended as {described['State']} without an answer of the stage"
                f"{f' ({reason})' if reason else ''}.{shown}")

    def _read_last_words(self, cluster: str, step: str) -> str | None:
        uri = self.account.describe(cluster).get("LogUri", "").replace("s3n://", "s3://").rstrip("/")
        if not uri:
            return None
        # spark-submit sends what Python says on stderr to its stdout, and its own log to stderr.
        storage, lines = open_storage(uri), list[str]()
        for name in ("stderr.gz", "stdout.gz"):
            try:
                data = storage.read(f"{cluster}/steps/{step}/{name}")
            except NotFound:
                continue
            lines += gzip.decompress(data).decode(errors="replace").splitlines()[-LAST_LINES:]
        return "\n".join(lines) or None

    def _clean(self, attempt: Attempt) -> None:
        """Ends every cluster of the attempt: its own, and one that a lost response made and nobody knows."""
        for cluster in self.account.find_alive(attempt.name):
            self.account.stop(cluster)


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Raises Interrupted at SIGTERM (a container being stopped) and Ctrl-C, so that what is open gets closed."""

    def stop(number: int, _: Any) -> None:
        raise Interrupted(f"stopped by {signal.Signals(number).name}; the cluster was ended. Started again, the run goes on.")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
