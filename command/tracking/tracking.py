"""Telling MLflow something, within a time limit, and never so that a command fails by it.

    told = tell(settings.track, lambda store: log_version(store, registry, card))
    told        # {"mlflow": "https://…", "run": "8c…"}, or {"mlflow": "https://…", "error": "…"}, or None: nothing is tracked
"""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from command.tracking.mlflow_store import MlflowStore
from contract.sections.tracking import TrackFields

LONGEST = 500  # characters of what is said of an error
Work = Callable[[MlflowStore], str | None]


@dataclass
class Told:
    """What came of it. `run`: the id of MLflow's run, where there is one."""

    run: str | None = None
    error: str | None = None
    done: bool = False


def tell(track: TrackFields, work: Work) -> dict[str, Any] | None:
    """Lets `work` tell MLflow something, which returns the run's id, for `track.seconds` at the most.

    None where nothing is tracked. What goes wrong, or takes longer, is said on standard error and in the answer.
    """
    if track.mlflow is None:
        return None
    told = Told()
    # A thread, since a name that is looked up and a server that accepts and is silent have no time limit of their own.
    thread = threading.Thread(target=_work, args=(track, work, told), name="track", daemon=True)
    thread.start()
    thread.join(track.seconds)
    if not told.done:
        told = Told(error=f"it did not answer within {track.seconds:g} s")
    if told.error is None:
        return {"mlflow": track.mlflow, "run": told.run}
    print(f"track: {track.mlflow} was not told: {told.error}", file=sys.stderr, flush=True)
    return {"mlflow": track.mlflow, "error": told.error}


def write_told(told: dict[str, Any] | None) -> str:
    """Writes what `tell` returned for people, to stand behind what a command says; empty where nothing is tracked."""
    if told is None:
        return ""
    return f"; MLflow was not told: {told['error']}" if "error" in told else f"; MLflow run {told['run']}"


def describe_failure(error: BaseException) -> str:
    """Says in a line of at most 500 characters what went wrong: MLflow's errors may hold a server's whole page."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]


def _work(track: TrackFields, work: Work, told: Told) -> None:
    try:
        told.run = work(MlflowStore(track.mlflow or "", track.experiment))
    except ImportError as error:
        told.error = f"the package mlflow-skinny is missing here ({error}): pip install 'trueup[mlflow]'"
    except BaseException as error:  # whatever it is, the command that tells has done its work
        told.error = describe_failure(error)
    told.done = True
