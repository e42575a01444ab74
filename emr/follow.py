"""One stage on its cluster, from the request to the answer: ask, create or attach, follow, clean up.

Whatever happens in between, no cluster of the attempt is left: a stop cancels the step and ends the cluster, and a driver
that is killed leaves a cluster that ends by itself and is found again by the next one.
"""

import gzip
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from contract.errors import NotFound, TrueupError
from contract.storage import open_storage
from contract.stores.store import Storage
from emr.account import ALIVE, Account
from emr.requests import Attempt, Reply, Request, another, newest

ENDED = ("TERMINATED", "TERMINATED_WITH_ERRORS")
STEP_ENDED = ("COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED")
LAST_LINES = 30
LOOKS_FOR_END = 40  # how often we look until a failed cluster has ended, which is when its logs are there


class ClusterFailed(TrueupError):
    """A cluster ended without an answer of the stage; the message has what EMR says and the step's last words."""

    def __init__(self, message: str, attempt: int) -> None:
        super().__init__(message)
        self.attempt = attempt


class Interrupted(TrueupError):
    """The driver was told to stop; the cluster was ended. The run stays open."""


def said(line: str) -> None:
    """One plain line of progress."""
    print(line, file=sys.stderr, flush=True)


@dataclass
class Follower:
    """Carries requests to clusters and answers back."""

    storage: Storage
    account: Account = field(default_factory=Account)
    poll: float = 20.0
    say: Callable[[str], None] = field(default=lambda line: said(line))

    def carry(self, model: str, request: Request, make: Callable[[Attempt], dict[str, Any]]) -> Reply:
        """The stage's answer, of an earlier attempt if there is a final one; `make` gives RunJobFlow's arguments.

        Raises ClusterFailed, Interrupted, AccountError.
        """
        attempt = newest(self.storage, model, request)
        if attempt is None or self._over(attempt):
            # Read after the cluster was found to have ended: the answer is written before.
            if attempt is not None and (reply := attempt.reply()) is not None and reply.final:
                return reply
            attempt = another(self.storage, model, request)
        with stopping():
            try:
                return self._followed(attempt, self._cluster(attempt, make))
            finally:
                self._clean(attempt)

    def _over(self, attempt: Attempt) -> bool:
        """Whether an attempt gives no other answer than it has: its cluster answered or ended."""
        if attempt.reply() is not None:
            return True
        cluster = attempt.cluster()
        return cluster is not None and self.account.describe(cluster)["Status"]["State"] not in ALIVE

    def _cluster(self, attempt: Attempt, make: Callable[[Attempt], dict[str, Any]]) -> str:
        if (known := attempt.cluster()) is not None:
            self.say(f"    {known}: attached")
            return known
        made = self.account.create(make(attempt))
        cluster = attempt.claim(made)
        if cluster != made:  # another driver was first; its cluster counts
            self.account.stop(made)
        self.say(f"    {cluster}: {attempt.name}")
        return cluster

    def _followed(self, attempt: Attempt, cluster: str) -> Reply:
        seen = ""
        while True:
            described, step = self.account.describe(cluster)["Status"], self.account.step(cluster)
            state = step["Status"]["State"] if step else "not listed yet"
            if (now := f"cluster {described['State']}, step {state}") != seen:
                self.say(f"    {cluster}: {now}")
                seen = now
            if state in STEP_ENDED or described["State"] not in ALIVE:
                reply = attempt.reply()
                if reply is None:
                    raise ClusterFailed(self._why(cluster, described, step), attempt.n)
                return reply
            self.account.sleep(self.poll)

    def _why(self, cluster: str, described: dict[str, Any], step: dict[str, Any] | None) -> str:
        """What EMR says of the end, and the step's own last words."""
        for _ in range(LOOKS_FOR_END):
            if described["State"] in ENDED:
                break
            self.account.sleep(self.poll)
            described = self.account.describe(cluster)["Status"]
        details = (step or {}).get("Status", {}).get("FailureDetails", {})
        reason = details.get("Message") or details.get("Reason") or described.get("StateChangeReason", {}).get("Message")
        words = self._stderr(cluster, step["Id"]) if step else None
        shown = f" The step's last words:\n{words}" if words else " The step left no log."
        return (f"cluster {cluster} ended as {described['State']} without an answer of the stage"
                f"{f' ({reason})' if reason else ''}.{shown}")

    def _stderr(self, cluster: str, step: str) -> str | None:
        uri = self.account.describe(cluster).get("LogUri", "").replace("s3n://", "s3://").rstrip("/")
        if not uri:
            return None
        try:
            data = open_storage(uri).read(f"{cluster}/steps/{step}/stderr.gz")
        except NotFound:
            return None
        return "\n".join(gzip.decompress(data).decode(errors="replace").splitlines()[-LAST_LINES:])

    def _clean(self, attempt: Attempt) -> None:
        """Ends every cluster of the attempt: its own, and one that a lost response made and nobody knows."""
        for cluster in self.account.alive(attempt.name):
            self.account.stop(cluster)


@contextmanager
def stopping() -> Iterator[None]:
    """SIGTERM (a container being stopped) and Ctrl-C become Interrupted, so that what is open gets closed."""

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


