"""`evidence.pictures` of `evaluation.json`: how the pictures of each day differ from those that the live version learnt from
(docs/picture-drift.md)."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from contract.documents.version_figures import Count, Figure, Reasoned


class Distance(TypedDict):
    """Jensen-Shannon divergence (bits) of a measure's histogram from the reference's; null with a reason.

    `chance`: what chance alone exceeds with the probability `error` of the section; `p`: the probability of this divergence
    or a greater one by chance; `changed`: p <= error. `low`, `high`: what it may be, chance having moved it by up to `chance`.
    """

    js: float | None
    low: float | None
    high: float | None
    chance: float | None
    p: float | None
    changed: bool
    reason: NotRequired[str | None]


class OfMeasure(Distance):
    """A measure of one day: its distance, its median, and between what four in five of its pictures lie."""

    measure: str
    low_value: float | None
    median: float | None
    high_value: float | None


class OfEmbeddings(TypedDict):
    """What the distance `embedding` of a day rests on: directions found on `trained` pictures, compared with `held_out` ones.

    `reason`: why it is not known, where it was asked for.
    """

    trained: Count
    held_out: Count
    most: Count  # pictures of a day
    reason: str | None


class PictureDay(TypedDict):
    """The pictures of a day, each once; `missing`: reason -> those whose pixels were not measured."""

    day: str
    predictions: Count
    unnamed: Count
    pictures: Count
    missing: dict[str, Count]
    figures: list[OfMeasure]


class OfReference(TypedDict):
    """A measure of the reference's pictures."""

    measure: str
    low_value: float | None
    median: float | None
    high_value: float | None


class Reference(TypedDict):
    """What days are compared with: the training pictures of a dataset, or, without one, the days before each."""

    kind: Literal["dataset", "days before"]
    dataset: str | None
    pictures: Count
    missing: dict[str, Count]
    figures: list[OfReference]
    reason: str | None  # why it is not a dataset


class Unusual(TypedDict):
    """A picture of a day that is far from the reference's: in `measure` only `share` of these are as far on its side."""

    day: str
    prediction_id: str
    image_sha256: str
    image_uri: str | None
    measure: str
    side: Literal["low", "high"]
    value: float
    share: float


class BandAccuracy(TypedDict):
    """Accuracy of the labelled predictions whose picture's measure lies in one quarter of the reference's."""

    measure: str
    band: Literal["lowest", "second", "third", "highest"]
    at_least: float | None
    below: float | None
    labelled: Count
    accuracy: Reasoned[Figure]


class Pictures(TypedDict):
    """The section. `error`: the p at which one comparison is called a change, so that all `comparisons` together call one by
    chance in 5% of evaluations at most. `left_out`: days whose rows expired unmeasured."""

    version: str | None
    reference: Reference
    comparisons: Count
    error: float
    days: list[PictureDay]
    left_out: list[str]
    unusual: list[Unusual]
    origin: str | None  # of the labels that `bands` rest on
    bands: list[BandAccuracy]
    embeddings: NotRequired[OfEmbeddings]  # only where they were asked for
    sentence: str
