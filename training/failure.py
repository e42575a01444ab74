"""How a rank tells the driver what went wrong: launchers only pass on that something did.

A rank that raises one of our errors writes its name and message beside the checkpoints; the driver raises it again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contract import errors, jsonio
from contract.errors import NotFound, TrainingFailed, TrueupError
from contract.storage import Storage, open_storage
from training.job import Job


def _key(job: Job) -> str:
    return f"{job.folder}{job.digest()}-failure.json"


@contextmanager
def reported(plain: dict[str, Any]) -> Iterator[None]:
    """Runs the body; one of our errors is written down for the driver and raised on."""
    try:
        yield
    except TrueupError as error:
        job = Job.parse(plain, "training job")
        document = {"error": type(error).__name__, "message": str(error)}
        open_storage(job.root).put(_key(job), jsonio.dumps(document))
        raise


def forget(job: Job, storage: Storage) -> None:
    """Removes what an earlier attempt left."""
    storage.delete(_key(job))


def raised(job: Job, storage: Storage, launcher: str, said: str) -> TrueupError:
    """The error that a rank reported; else TrainingFailed with what the launcher said."""
    try:
        found = jsonio.loads(storage.read(_key(job)))
    except NotFound:
        return TrainingFailed(f"training by {launcher} ended without a result: {said} Started again with the same run, it "
                              f"resumes from its checkpoint.")
    kind = getattr(errors, found["error"], TrainingFailed)
    return kind(found["message"])
