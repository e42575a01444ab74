"""What a run records of its finished stages: the fields without which no later start could carry it on.

Each document has more (docs/design.md#the-bucket); what is not named here is read where it may be missing.
"""

from pydantic import BaseModel, ConfigDict

from contract.documents.document import Document


class Firing(BaseModel):
    """Whether a verdict starts a retraining, and why not."""

    model_config = ConfigDict(extra="ignore")
    fires: bool
    reason: str | None  # why it does not fire


class Evaluated(Document):
    """`evaluate.json`."""

    id: str


class Judged(Document):
    """`gate.json`."""

    evaluation: str
    exit_code: int
    sentence: str
    retrain: Firing


class Built(Document):
    """`dataset.json`."""

    dataset: str
    holdout_sources: dict[str, int] | None = None


class Trained(Document):
    """`train.json`."""

    version: str


class Compared(Document):
    """`promotion.json`."""

    promote: bool
    sentence: str


class Shadowed(Document):
    """`shadow.json`: whether the candidate holds on real traffic; of the run that made it, and of later ones that look again."""

    candidate: str
    promote: bool
    sentence: str


class Published(Document):
    """`publish.json`."""

    version: str
    seq: int


# What an assessment needs is checked where it is read (metrics/judging/promotion.py).
STAGES: dict[str, type[Document]] = {"evaluate": Evaluated, "gate": Judged, "dataset": Built, "train": Trained,
                                     "promotion": Compared, "shadow": Shadowed, "publish": Published}
