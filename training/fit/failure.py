"""How a rank tells the driver what went wrong: launchers only pass on that something did.

A rank that fails by itself writes its error's name and message beside the checkpoints; the driver raises it again. When
no rank did, one was lost (killed, its machine gone): that, and nothing else, is worth another start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contract import errors, jsonio, layout
from contract.errors import NotFound, TrainingFailed, TrueupError
from contract.storage import open_root
from contract.stores.store import Storage
from training.errors import RankGone, RankLost
from training.fit.job import Job

COMMUNICATION = ("DistBackendError", "DistNetworkError", "DistStoreError")  # of torch.distributed: another rank is gone


def _report_key(job: Job) -> str:
    return layout.failure(job.folder, job.digest())


@contextmanager
def report_errors(job: dict[str, Any]) -> Iterator[None]:
    """Runs the body; an error of this rank's own is written down for the driver, and raised again.

    `job`: a training.fit.job.Job as plain JSON.
    """
    try:
        yield
    except RankGone:
        raise
    except Exception as error:
        if type(error).__name__ not in COMMUNICATION:
            _write_report(Job.parse(job, "training job"), error)
        raise


def _write_report(job: Job, error: Exception) -> None:
    ours = isinstance(error, TrueupError)
    document = {"error": type(error).__name__ if ours else "TrainingFailed",
                "message": str(error) if ours else f"a rank failed: {type(error).__name__}: {error}"}
    open_root(job.root).put(_report_key(job), jsonio.dumps(document))


def delete_report(job: Job, storage: Storage) -> None:
    """Removes the report of an earlier attempt, if there is one."""
    storage.delete(_report_key(job))


def find_error(job: Job, storage: Storage, launcher: str, output: str) -> TrueupError:
    """Returns the error that a rank reported; else RankLost with the launcher's name and what it said, `output`."""
    try:
        report = jsonio.loads(storage.read(_report_key(job)))
    except NotFound:
        return RankLost(f"training by {launcher} ended without a result: {output} Started again with the same run, it "
                        f"resumes from its checkpoint.")
    kind = getattr(errors, report["error"], TrainingFailed)
    return kind(report["message"])
