"""`evidence.shadow` of `evaluation.json`: the live version and the shadow on the same predictions (docs/shadow.md)."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from contract.counts import Origin
from contract.documents.version_figures import Count, Figure, Reasoned


class PairedCounts(TypedDict):
    """Labelled predictions by which of the two was right; `candidate` is the shadow."""

    n: Count
    both: Count
    only_live: Count
    only_candidate: Count
    neither: Count


class PairedFigures(PairedCounts):
    """The accuracies (Wilson's intervals), candidate - live (Newcombe's for paired shares), and McNemar's exact test."""

    live: Reasoned[Figure]
    candidate: Reasoned[Figure]
    difference: Reasoned[Figure]
    mcnemar: dict[str, float] | None


class PairedOfClass(PairedCounts):
    """The labelled predictions of one label and origin."""

    label: str
    origin: Origin


class WithoutLabeler(TypedDict):
    """What is left without the `rows` that one person alone labelled."""

    labeler: str | None
    rows: Count
    by_origin: dict[Origin, PairedCounts]


class VersionPair(TypedDict):
    """One live version and one shadow, on the predictions that both answered.

    `agreement` is of all `rows`, labelled or not. `unnamed` are labelled wrong without a class, and in no comparison.
    """

    live: str
    shadow: str
    rows: Count
    agree: Count
    agreement: Reasoned[Figure]
    labelled: Count
    unnamed: Count
    by_origin: dict[Origin, PairedFigures]
    per_class_by_origin: list[PairedOfClass]
    without: Annotated[list[WithoutLabeler], Field(default=[])]
    sentence: str


class Shadow(TypedDict):
    """All rows of role shadow, those whose prediction has no live row of this model (`unpaired`), and the pairs of versions.

    `days_left_out`: days of the window whose rows expired, or that have no items.
    """

    rows: Count
    unpaired: Count
    pairs: list[VersionPair]
    days_left_out: list[str]
    sentence: str
