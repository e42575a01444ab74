"""Tells MLflow of each epoch while training goes on, from a thread of its own: no step waits for it, and none fails by it.

What it could not tell, the driver tells when training is over (training/train.py).
"""

import sys
import threading
from queue import SimpleQueue
from typing import Any

from command.tracking.mlflow_store import MlflowStore
from command.tracking.tracking import describe_failure

CLOSE_S = 2.0  # what is under way at the end may take so long; the driver tells the rest


class EpochReporter:
    """Reports epochs of rank 0 to the run of MLflow that the driver began; without one it does nothing."""

    def __init__(self, track: dict[str, str] | None) -> None:
        """`track`: `mlflow`, `experiment` and `run` (training/fit/job.py)."""
        self._epochs: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if track is not None:
            self._thread = threading.Thread(target=self._report_all, args=(track,), name="track", daemon=True)
            self._thread.start()

    def report(self, entry: dict[str, Any]) -> None:
        """Takes an epoch's entry of the card's history; returns at once."""
        if self._thread is not None:
            self._epochs.put(entry)

    def close(self) -> None:
        """Waits a moment for what is under way."""
        self._epochs.put(None)
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def _report_all(self, track: dict[str, str]) -> None:
        try:
            store = MlflowStore(track["mlflow"], track["experiment"])
            while (entry := self._epochs.get()) is not None:
                store.log_epochs(track["run"], [entry])
        except BaseException as error:  # whatever it is, training goes on
            print(f"track: epochs are told when training is over: {describe_failure(error)}", file=sys.stderr, flush=True)
