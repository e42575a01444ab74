"""`evidence.cost` of `evaluation.json`: what mistakes cost (docs/costs.md). Costs are in the unit of whoever set them."""

from typing import NotRequired

from typing_extensions import TypedDict

from contract.counts import Origin
from contract.documents.version_figures import Count, Figure, Reasoned


class CostEntry(TypedDict):
    """A line of the table of costs: to answer `predicted` where `label` is right."""

    label: str
    predicted: str
    cost: float


class CostOfClass(TypedDict):
    """One class: cost per 1,000 predictions that answer it, and per 1,000 that it is the label of."""

    label: str
    answers: Count
    support: Count
    as_answer: Reasoned[Figure]
    as_label: Reasoned[Figure]


class DearPair(CostEntry):
    """A kind of mistake that was seen: how often, and its part of the cost per 1,000 predictions."""

    count: Count
    per_1000: float


class CostThreshold(TypedDict):
    """One predicted class: accepted unseen from `threshold` on (null: nothing is), the rest looked at.

    `accepted` is the share of its predictions; costs are per 1,000 of them: with the threshold, accepted all, looked at all;
    `accepted_cost` per 1,000 accepted ones.
    """

    predicted: str
    threshold: float | None
    answers: Count
    accepted: float | None
    per_1000: float | None
    accepting_all: float | None
    reviewing_all: float | None
    accepted_cost: Reasoned[Figure]
    reason: NotRequired[str | None]


class CostWithThresholds(TypedDict):
    """The same over all predicted classes; those with too few answers for a threshold are looked at."""

    accepted: float
    per_1000: float
    accepting_all: float
    reviewing_all: float


class VersionCost(TypedDict):
    """One version, over the labelled rows of `origin`, with weights where its estimate is weighted."""

    origin: Origin | None
    weighted: bool
    labelled: Count
    unnamed: Count  # mistakes whose class nobody named: their cost is a mean, and bounds take the least and the greatest
    per_1000: Reasoned[Figure]
    per_class: list[CostOfClass]
    classes_omitted: Count
    dearest: list[DearPair]
    thresholds: list[CostThreshold]
    with_thresholds: CostWithThresholds | None
    sentence: str


class Cost(TypedDict):
    """By version; `costs` and `default` are what it was made with, `unknown` classes of it that nobody has ever seen."""

    costs: list[CostEntry]
    default: float
    review: float | None
    unknown: list[str]
    versions: dict[str, VersionCost]
    sentence: str
