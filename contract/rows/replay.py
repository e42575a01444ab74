"""What a version answers to the pictures that the live one was asked about: `replays/<model>/<id>/replay.json`.

`trueup replay` (jobs/replaying) writes it. The rows that it compares lie under the days of their predictions, role replay.
"""

from typing import Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from contract import layout
from contract.counts import Origin
from contract.documents.document import Document, Moment
from contract.documents.evaluation import Window
from contract.documents.version_figures import Figure
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.evidence.paired_shadow import PairedFigures
from contract.stores.store import Storage

# Why a prediction was not computed: its row names no picture, the picture was erased, it is no longer there, it cannot be used.
REASONS = ("not stored", "erased", "gone", "bad")
Reason = Literal["not stored", "erased", "gone", "bad"]


class OfClass(TypedDict):
    """One class: predictions that the live answers, and the replayed ones, call so, and how many both do."""

    label: str
    live: int
    replay: int
    agreed: int
    agreement: Figure  # agreed of live


class OfLiveVersion(TypedDict):
    """The predictions that one live version answered."""

    version: str
    predictions: int
    agreed: int
    agreement: Figure


class Flip(TypedDict):
    """How many live answers became another one."""

    live: str
    replay: str
    count: int


class Disagreement(TypedDict):
    """One prediction that both answered differently; `label` is the consensus of people, None without one."""

    prediction_id: str
    day: str
    live_version: str
    live: str
    live_confidence: float | None
    replay: str
    replay_confidence: float | None
    label: str | None
    image_sha256: str | None
    image_uri: str | None


class LeftOut(TypedDict):
    """One prediction that was not computed, and why."""

    prediction_id: str
    day: str
    kind: Reason
    reason: str


class LabelledClass(PairedFigures):
    """The labelled predictions of one class; accuracies are recalls here."""

    label: str


class OfOrigin(PairedFigures):
    """The labelled predictions whose consensus is of one origin class."""

    weighted: dict[str, Any]  # the difference by selection probabilities, over its own `n`
    per_class: list[LabelledClass]


class Labelled(TypedDict):
    """What labels say: `unnamed` were called wrong without a class, and are in no comparison (rule 4a)."""

    labelled: int
    unnamed: int
    decides: Origin | None  # the origin that the promotion gate would take: trusted, and large enough
    by_origin: dict[Origin, OfOrigin]


class Replay(Document):
    """`replay.json`: live answers of a window against those of one version to the same pictures."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    version: str
    weights_sha256: str
    window: Window
    as_of: Moment
    engine: str  # that listed the labels
    predictions: int = Field(ge=0)  # distinct ones of role live
    replayed: int = Field(ge=0)
    agreed: int = Field(ge=0)
    agreement: Figure
    per_class: list[OfClass]
    by_live_version: list[OfLiveVersion]
    flips: list[Flip]
    flips_omitted: int = Field(default=0, ge=0)
    strongest: list[Disagreement]
    left_out: dict[Reason, int]
    left_out_first: list[LeftOut]  # all of them stand in left_out.parquet
    labels: Labelled
    expired: list[str] = Field(default_factory=list)  # days of the window whose rows went by age
    items: dict[str, str] = Field(default_factory=dict)  # day -> name of the items that the labels are from
    confidence: float


def list_replays(storage: Storage, model: str, most: int) -> list[tuple[str, Replay]]:
    """Lists (id, document) of the newest replays of a model, newest first; one that cannot be read is named and passed over."""
    found = []
    for name in sorted(storage.folders(layout.replays(model)), reverse=True)[:most]:
        try:
            found.append((name, Replay.load(storage, layout.replay_document(model, name))))
        except NotFound:  # not finished
            continue
        except DamagedDocument as error:
            pass_over(error)
    return found
