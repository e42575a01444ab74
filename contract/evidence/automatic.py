"""`evidence.automatic` of `evaluation.json`: what thresholds accept unseen, and how much of it is right (docs/accept.md)."""

from typing import NotRequired

from typing_extensions import TypedDict

from contract.counts import Origin
from contract.documents.version_figures import Count, Figure, Reasoned


class ChosenBy(TypedDict):
    """What the thresholds in force at `as_of` are of: a version, the evaluation that chose them, and its days.

    `target`: the accuracy that was asked for; null: the evaluation's own rule.
    """

    version: str
    evaluation: str
    first: str
    last: str
    target: float | None


class Accepted(TypedDict):
    """What is accepted of `predictions`. `labelled`: of the accepted ones, the rows that `accuracy` rests on.

    `unsupported`: accepted ones of a class and confidence bin that nobody has labelled.
    """

    predictions: Count
    accepted: Count
    share: float | None
    labelled: Count
    unsupported: Count
    accuracy: Reasoned[Figure]


class AcceptedOfClass(TypedDict):
    """The same of the answers of one class; `threshold` null: all of them are for review."""

    predicted: str
    threshold: float | None
    predictions: Count
    accepted: Count
    share: float | None
    labelled: Count
    accuracy: Reasoned[Figure]


class Target(TypedDict):
    """What a common threshold for all classes would accept whose answers are known to be right so often.

    `threshold` null: `reason` says why. `labelled`: the accepted ones that `accuracy` rests on.
    """

    target: float
    threshold: float | None
    accepted: Count
    share: float | None
    labelled: Count
    accuracy: Reasoned[Figure]
    reason: NotRequired[str | None]


class AtThreshold(TypedDict):
    """What one common threshold for all classes accepts."""

    threshold: float
    accepted: Count
    share: float | None
    labelled: Count
    accuracy: Reasoned[Figure]


class VersionAutomatic(TypedDict):
    """One version, by the labels of `origin`, with weights where its estimate is weighted.

    `hold`: the thresholds are of this version; otherwise all of its answers are for review. `afterwards`: the days that did not
    choose them; null where the window has none. `curve`: each common threshold, from the strictest down, by itself.
    """

    origin: Origin | None
    weighted: bool
    hold: bool
    all: Accepted
    afterwards: Accepted | None
    per_class: list[AcceptedOfClass]
    classes_omitted: Count
    curve: list[AtThreshold]
    targets: list[Target]
    sentence: str


class Automatic(TypedDict):
    """`chosen_by` null: no thresholds are in force; then only `targets` and `curve` say something."""

    chosen_by: ChosenBy | None
    wanted: list[float]
    versions: dict[str, VersionAutomatic]
    sentence: str


def choose_accepted(version: VersionAutomatic) -> Accepted:
    """What is to be shown as one figure: over days that did not choose the thresholds, where these have labels; else over all."""
    later = version["afterwards"]
    return later if later is not None and later["labelled"] else version["all"]
