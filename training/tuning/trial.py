"""One trial: the ordinary loop on the train split, judged on the validation split after each epoch. It takes no version
number and writes neither weights nor a checkpoint; the holdout stays closed.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from contract import layout
from contract.documents import manifest
from contract.documents.manifest import DataFile
from contract.registry import Registry
from contract.settings import Settings, TrainSettings
from contract.stores.store import Storage
from contract.tuning.documents import Search
from training.feed.batches import Batch, BatchSource
from training.feed.plan import CropWindows
from training.first_version import FirstVersion
from training.fit.job import Job
from training.train import plan_job
from training.tuning.space import Config, split_config

# A trial has one rank, keeps nothing, and ends when it is told to.
ALONE: dict[str, Any] = {"launcher": "process", "ranks": 1, "checkpoint_steps": 1 << 40, "patience": None, "log_dir": None}


class TrialEnded(Exception):
    """Raised in the hook of the loop to end a trial. Internal: the worker has written how it ended."""


def make_job(storage: Storage, search: Search, config: Config, here: dict[str, Any] | None = None) -> Job:
    """Returns the training job of a configuration; `here`: settings of where it runs. UsageError: --size or --network beside a
    parent, and the like."""
    chosen, network = split_config(config)
    train = TrainSettings(**(search.settings | ALONE | (here or {}) | {"epochs": search.epochs} | chosen))
    made = manifest.load(storage, search.dataset)
    job = plan_job(storage, Registry(storage, search.model), Settings(train=train), made, search.parent, "0", None,
                 find_first_version(search, network))
    return job.model_copy(update={"folder": layout.checkpoints(layout.tunings(search.model, search.id))})


def find_first_version(search: Search, network: str | None) -> FirstVersion:
    """Returns what a trial is without a parent; `network`: of its configuration, None where the space has none."""
    looks = {name: getattr(search, name) for name in FirstVersion().list_looks()}
    return FirstVersion(network or next(iter(search.networks), None), **looks)


def run_trial(job: Job, feed: BatchSource, end_of_epoch: Callable[[dict[str, Any]], None]) -> None:
    """Trains until `end_of_epoch`, which is given each epoch's entry of the history, raises TrialEnded.

    NotFinite: the configuration does not train. Mismatch, BadImage: the dataset is not what it says.
    """
    from training.fit.loop import Loop
    from training.fit.process_group import join_process_group

    with join_process_group(job.threads, alone=True, device_asked=job.train.device) as group:
        try:
            Loop(job, group, feed, end_of_epoch).run()
        except TrialEnded:
            return
    raise AssertionError("expected the hook to end the trial after its last epoch")


class KeptFeed:
    """A feed that lives through many trials, so that each picture is read and decoded once; `close` of a loop leaves it."""

    def __init__(self, feed: BatchSource) -> None:
        self.feed = feed

    def batches(self, files: Sequence[DataFile], low: int, sizes: Sequence[int],
                windows: CropWindows | None = None) -> Generator[Batch, None, None]:
        """Yields the batches of the feed."""
        return self.feed.batches(files, low, sizes, windows)

    def close(self) -> None:
        """Does nothing; `free` ends it."""

    def free(self) -> None:
        """Stops the workers and frees the pictures."""
        self.feed.close()
