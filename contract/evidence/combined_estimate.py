"""The section `combined`: one estimate of accuracy from all labels and all traffic (docs/combined.md)."""

from typing import Literal

from typing_extensions import TypedDict

from contract.documents.version_figures import Figure, Weighted


class CombinedClass(TypedDict):
    """Precision of one predicted class over all its predictions: `labels` of the audit in so many `strata`."""

    label: str
    predicted: int
    labels: int
    strata: int
    precision: Figure


class OfFeedback(TypedDict):
    """How many predictions feedback calls wrong, says nothing of, calls right."""

    wrong: int
    none: int
    right: int


class CombinedVersion(Figure):
    """One estimate of a version's accuracy from all labels and all traffic; null with a reason.

    `origin`: audit, or assessment where none of its predictions has a label; null without an estimate. `labels` of a known
    probability lie in `strata`, which explain the share `explained` of what is right and make the interval so much `narrower`
    (0.12: 12%) than that of the `audit` alone. `n_effective` is Kish's size, `size` the one that the interval rests on, and
    `cautious_size` the one at which a gate takes its p. `without_audit` predictions are of days without an audit, and are taken
    to be right as often as those of their stratum.
    """

    origin: Literal["audit", "assessment"] | None
    predictions: int
    without_audit: int
    labels: int
    strata: int
    explained: float | None
    narrower: float | None
    n_effective: float | None
    size: float | None
    cautious_size: float | None
    audit: Weighted
    feedback: OfFeedback
    rests_on: str
    per_class: list[CombinedClass]


class CombinedWindow(TypedDict):
    """The same over the newest `days` alone."""

    days: int
    versions: dict[str, CombinedVersion]


class Combined(TypedDict):
    """The estimate of each version over the window, and over the gate's windows where it has some."""

    sentence: str
    versions: dict[str, CombinedVersion]
    windows: list[CombinedWindow]
