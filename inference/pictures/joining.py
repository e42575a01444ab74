"""Has the labels of days joined with their predictions while somebody looks: one child process at a time, in the background.

The child is `python -m jobs.labelled.items`, since the service does not import what counts. It reads settings as every
command does: from the environment, and from the file in the folder that the service was started in.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from contract import clock
from inference.daemon_pool import DaemonPool
from inference.telemetry import log_event

MODULE = "jobs.labelled.items"
AT_ONCE = 15  # days of one child, so that the newest are there soon
LONGEST_S = 1800.0
AGAIN_S = 20.0  # a day's labels are joined again after so long at the earliest, and a failure tried again after thrice as long


def run_child(root: str, model: str, first: str, last: str) -> str | None:
    """Joins the labels of the days from first to last; returns what went wrong, or None."""
    command = [sys.executable, "-m", MODULE, "--root", root, "--model", model, "--from", first, "--to", last]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              timeout=LONGEST_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return None if done.returncode == 0 else (said[-1] if said else f"exit code {done.returncode}")


class Joiner:
    """Has the labels of one root joined."""

    def __init__(self, root: str, run: Callable[[str, str, str, str], str | None] | None = None) -> None:
        """`run` joins the labels of the days of a window: (root, model, first, last) -> what went wrong, or None."""
        self.root, self._run = root, run or run_child
        self._pool = DaemonPool(1, "items")
        self._lock = threading.Lock()
        self._busy: set[str] = set()  # models
        self._asked: dict[tuple[str, str], float] = {}
        self.failed: dict[str, str] = {}  # model -> what went wrong last

    def ask(self, model: str, days: Sequence[str]) -> None:
        """Has the days joined that were not lately, the newest first, unless this model's are under way."""
        now = clock.monotonic()
        with self._lock:
            wait = 3 * AGAIN_S if model in self.failed else AGAIN_S
            due = sorted((d for d in days if now - self._asked.get((model, d), -wait) >= wait), reverse=True)
            if not due or model in self._busy:
                return
            self._busy.add(model)
        self._pool.submit(self._join, model, due)

    def is_busy(self, model: str) -> bool:
        """Says whether a child is under way, or waits to be."""
        return model in self._busy

    def _join(self, model: str, days: list[str]) -> None:
        try:
            for first, last in group_days(days):
                wrong = self._run(self.root, model, first, last)
                self._asked |= {(model, d): clock.monotonic() for d in days if first <= d <= last}
                if wrong:
                    self.failed[model] = wrong
                    log_event("labels were not joined", logging.WARNING, model=model, days=f"{first} to {last}", error=wrong)
                    return
                self.failed.pop(model, None)
        finally:
            with self._lock:
                self._busy.discard(model)


def group_days(days: Sequence[str]) -> list[tuple[str, str]]:
    """Groups days, newest first, into windows (first, last) of neighbours, of at most AT_ONCE days."""
    windows: list[tuple[str, str]] = []
    for day in days:
        before = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
        fits = windows and windows[-1][0] == before and \
            (date.fromisoformat(windows[-1][1]) - date.fromisoformat(day)).days < AT_ONCE
        if fits:
            windows[-1] = (day, windows[-1][1])
        else:
            windows.append((day, day))
    return windows
