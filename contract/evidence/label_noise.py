"""`evidence.noise` of `evaluation.json`: accuracy behind label noise (docs/label-noise.md)."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from contract.counts import Origin
from contract.documents.version_figures import Count, Figure, Reasoned

Name = Literal["classes", "triples", "answers", "selected", "confidence", "rejected", "gold",
               "gold where wrong"]


class NoiseCheck(TypedDict):
    """A share that was observed beside what independent errors make of it; `p` of so large a difference by chance."""

    name: Name
    observed: float | None
    expected: float | None
    p: Annotated[float, Field(ge=0, le=1)]
    failed: bool


class ClassNoise(TypedDict):
    """How often a blind vote on pictures of a class names another; `votes` that name the class tell it."""

    label: str
    votes: float
    error_rate: Reasoned[Figure]


class GoldCounts(TypedDict):
    """Blind votes on gold items, where the model was right and where it was wrong; of them those that name the known class,
    and those that name the wrong answer."""

    right: Count
    right_known: Count
    wrong: Count
    wrong_known: Count
    wrong_hits: Count


class VersionNoise(TypedDict):
    """One version. `raw` is the share of single blind votes that name the predicted class, `ceiling` what a model that is
    always right would show with such votes, `corrected` the accuracy behind; all of the rows of `origin`."""

    origin: Origin | None
    weighted: bool
    votes: Count
    items: Count
    paired: Count
    tripled: Count
    classes: Count
    gold: GoldCounts
    method: Literal["pairs", "triples", "gold"] | None
    raw: Reasoned[Figure]
    corrected: Reasoned[Figure]
    ceiling: Reasoned[Figure]
    error_rate: Reasoned[Figure]
    per_class: list[ClassNoise]
    checks: list[NoiseCheck]
    sentence: str


class Noise(TypedDict):
    """By version. No gate judges by it: it holds under independent errors, which votes can contradict, and never prove."""

    versions: dict[str, VersionNoise]
    sentence: str
