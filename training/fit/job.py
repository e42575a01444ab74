"""What a training job is: all that a rank must know, as plain JSON, and the digest that its checkpoints carry."""

from typing import Any

from contract import jsonio
from contract.documents.card import Preprocess
from contract.documents.document import Document
from contract.settings import TrainSettings

# Settings that do not change what is trained, so they are not in the digest: a training that ran out of memory may go on from its
# checkpoint with a smaller cache. Ranks change who reads which rows when, but other ranks can resume from a checkpoint of these.
NOT_IN_DIGEST = ("launcher", "ranks", "min_ranks", "checkpoint_steps", "retries", "log_dir", "device", "calibrate", "cache_mib")


class Job(Document):
    """A training job. Two jobs with the same digest, ranks and threads make the same weights (on the same kind of machine)."""

    root: str
    model: str
    dataset: str
    network: str
    classes: list[str]
    preprocess: Preprocess
    parent: str | None  # version whose weights training starts from
    start: str | None = None  # key of safetensors to start from instead, made from a file brought from outside
    settings: dict[str, Any]
    ranks: int
    threads: int  # of torch, per rank: sums in another order end in other last bits
    folder: str  # of the checkpoints, a key that ends with '/'
    track: dict[str, str] | None = None  # `mlflow`, `experiment`, `run`: where rank 0 tells of epochs

    @property
    def train(self) -> TrainSettings:
        """The settings of the loop."""
        return TrainSettings(**self.settings)

    def digest(self) -> str:
        """Returns 16 hex digits over everything but where it runs, on how many ranks, what it may cache, and how often it is
        saved; a resume needs the same."""
        facts = self.to_dict()
        facts["preprocess"] = self.preprocess.facts()
        facts["settings"] = {k: v for k, v in self.settings.items() if k not in NOT_IN_DIGEST}
        return jsonio.digest({k: v for k, v in facts.items() if k not in ("root", "folder", "threads", "ranks", "track")})[:16]
