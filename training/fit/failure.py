"""How a rank tells the driver what went wrong: launchers only pass on that something did.

A rank that fails by itself writes its error's name and message beside the checkpoints; the driver raises it again. When
none did, a rank was lost (killed, its machine gone): that, and nothing else, is worth another start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contract import errors, jsonio, layout
from contract.errors import NotFound, TrainingFailed, TrueupError
from contract.storage import open_storage
from contract.stores.store import Storage
from training.fit.job import Job

COMMUNICATION = ("DistBackendError", "DistNetworkError", "DistStoreError")  # of torch.distributed: another rank is gone


def _key(job: Job) -> str:
    return layout.failure(job.folder, job.digest())


class RankGone(Exception):
    """Another rank, or a process that decodes for this one, does not answer any more: nothing to write down."""


class RankLost(TrainingFailed):
    """A rank, its executor or its machine is gone. Started again, training resumes from its checkpoint."""


@contextmanager
def reported(plain: dict[str, Any]) -> Iterator[None]:
    """Runs the body; an error of this rank's own is written down for the driver and raised on."""
    try:
        yield
    except RankGone:
        raise
    except Exception as error:
        if type(error).__name__ not in COMMUNICATION:
            _write(Job.parse(plain, "training job"), error)
        raise


def _write(job: Job, error: Exception) -> None:
    ours = isinstance(error, TrueupError)
    document = {"error": type(error).__name__ if ours else "TrainingFailed",
                "message": str(error) if ours else f"a rank failed: {type(error).__name__}: {error}"}
    open_storage(job.root).put(_key(job), jsonio.dumps(document))


def forget(job: Job, storage: Storage) -> None:
    """Removes what an earlier attempt left."""
    storage.delete(_key(job))


def raised(job: Job, storage: Storage, launcher: str, said: str) -> TrueupError:
    """The error that a rank reported; else RankLost with what the launcher said."""
    try:
        found = jsonio.loads(storage.read(_key(job)))
    except NotFound:
        return RankLost(f"training by {launcher} ended without a result: {said} Started again with the same run, it "
                              f"resumes from its checkpoint.")
    kind = getattr(errors, found["error"], TrainingFailed)
    return kind(found["message"])
