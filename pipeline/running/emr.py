"""Starts stages on EMR: the same interface as pipeline/running/local.py, behind `trueup cycle --runner emr`.

The gate runs here, since it reads counts only; so does an evaluation that has little to count, so that a schedule that
finds nothing new ends in seconds, unless it measures pictures. Everything else gets a transient cluster of its own, or a
job on EMR Serverless (emr/dispatch.py).
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from contract.errors import UsageError
from contract.rows.uncounted import list_uncounted
from contract.storage import open_root
from contract.stores.store import Storage
from emr import dispatch
from emr.cluster import Package
from emr.follow import ClusterFailed
from emr.job import make_request, read_emr_settings
from emr.needs import NEEDS
from emr.package import find_package
from emr.requests import Reply
from pipeline.running.local import Answer, ProcessRunner, Runner, StageFailed, StageKilled, read_answer
from pipeline.running.stages import Stage

# So often a stage may crash on its cluster before its run ends: the next ones would crash, too, and be paid for.
MOST_ATTEMPTS = 3


class EmrRunner:
    """Stages on EMR; `here` runs those that need none.

    The cycle only looks packages up: who may write them decides what every role runs, so `trueup emr deploy` does.
    """

    def __init__(self, here: Runner | None = None, package: Callable[[Storage, str], Package] = find_package) -> None:
        self.here: Runner = here or ProcessRunner()
        self.package = package
        self.key: str | None = None

    def begin(self, run: str) -> None:
        """Names the run, which clusters are tagged with."""
        self.key = run

    def run(self, stage: Stage, argv: Sequence[str], settings: Mapping[str, Any]) -> Answer:
        """Runs a stage to its end. Raises StageFailed, StageKilled, and what emr/follow.py raises."""
        root, rest, model = _split(argv)
        storage = open_root(root)
        limit = read_emr_settings(settings).here_bytes
        little = stage.name == "evaluate" and not measures_pictures(settings) and _is_little(storage, rest, model, limit)
        if stage.name not in NEEDS or little:
            return self.here.run(stage, argv, settings)
        request = make_request(stage.name, rest, settings, self.key, stage.module)
        try:
            reply = dispatch.run_stage(storage, model, request, lambda environment: self.package(storage, environment))
        except ClusterFailed as error:
            raise _make_error(stage, str(error), error.attempt) from error
        return _read_answer(stage, reply)


def _read_answer(stage: Stage, reply: Reply) -> Answer:
    if reply.document is None:
        raise _make_error(stage, f"it ended with code {reply.code} and no answer. Its last words:\n{reply.said}", reply.attempt)
    return read_answer(stage, reply.code, json.dumps(reply.document))


def _make_error(stage: Stage, why: str, attempt: int) -> Exception:
    """Makes the error of a stage without an answer, which leaves the run open, but not for ever."""
    message = f"{stage.name} ({stage.module}) on EMR: {why}"
    if attempt >= MOST_ATTEMPTS:
        return StageFailed(f"{message}\nThis was attempt {attempt}; the run ends here.", 1, "ClusterFailed")
    return StageKilled(f"{message}\nStart `trueup cycle` again: it continues with this stage.")


def _split(argv: Sequence[str]) -> tuple[str, list[str], str]:
    """Splits off the root; returns it, the stage's other arguments, and the model."""
    rest = list(argv)
    place = rest.index("--root")
    root = rest[place + 1]
    del rest[place:place + 2]
    if "--model" not in rest:
        raise UsageError("expected --model among the stage's arguments.")
    return root, rest, rest[rest.index("--model") + 1]


def measures_pictures(settings: Mapping[str, Any]) -> bool:
    """Tells whether an evaluation under these settings looks at pictures, for which only its own role has the right."""
    return ("pictures" in (settings.get("evaluate", {}).get("evidence") or ())
            or settings.get("gates", {}).get("max_picture_drift") is not None)


def _is_little(storage: Storage, argv: Sequence[str], model: str, limit: int) -> bool:
    """Tells whether no more than `limit` bytes lie in the days whose counts are not there yet."""
    options = dict(zip(argv[::2], argv[1::2], strict=False))
    total = sum(measure_uncounted(storage, model, options.get("--from"), options.get("--to")))
    print(f"    {total / 2**20:,.0f} MiB to count", file=sys.stderr, flush=True)
    return total <= limit


def measure_uncounted(storage: Storage, model: str, first: str | None, last: str | None) -> Iterator[int]:
    """Yields the bytes of each day of a window that would be counted: its files are new, or its counts by other rules."""
    yield from (found.bytes for found in list_uncounted(storage, model, first, last))
