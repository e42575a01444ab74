"""The figures of one model version as types: what `versions.<v>` of `evaluation.json` holds (docs/design.md#evaluationjson).

They are types of plain dictionaries, which mypy checks and which cost nothing at run time. A field with a default was
added later: it is always written, and read as its default from older documents. `NotRequired` ones are not always there.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, NotRequired, TypeVar

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict  # pydantic reads typing.TypedDict from Python 3.12 on only

from contract.counts import Origin

F = TypeVar("F", bound=Mapping[str, object])
Count = Annotated[int, Field(ge=0)]


def _require_reason(figure: F) -> F:
    if None in (figure["value"], figure["low"], figure["high"]) and not figure.get("reason"):
        raise ValueError("a null value or bound needs a reason")
    return figure


Reasoned = Annotated[F, AfterValidator(_require_reason)]  # a figure in which no null stands without its reason


class Figure(TypedDict):
    """A value with its interval. What could not be computed is null, and then `reason` says why."""

    value: float | None
    low: float | None
    high: float | None
    reason: NotRequired[str | None]


class Estimate(Figure):
    """The accuracy to believe: of which origin, whether weighted by 1/p, resting on how many rows in effect."""

    origin: Origin | None
    n_effective: float
    weighted: bool
    unbiased: Annotated[bool, Field(default=False)]  # a documented sample, answered to 90%
    rests_on: Annotated[str, Field(default="")]
    response_rate: Annotated[float | None, Field(default=None)]


class Weighted(Figure):
    """The share weighted by the inverse selection probabilities."""

    n_effective: float | None


class OfOrigin(TypedDict):
    """The labels of one origin class."""

    labelled: Count
    accuracy: Reasoned[Figure]
    weighted: Reasoned[Weighted]


class ClassCalibration(TypedDict):
    """Expected calibration error beside the 95% value that a calibrated model would show at these sizes."""

    ece: float | None
    ece_95_if_calibrated: float | None
    reason: NotRequired[str | None]


class OfClass(TypedDict):
    """One class. `support`, `predicted` and the ratios rest on labelled predictions, `predictions` on all.

    Of those that predicted this class, `right` were confirmed, and of `split` the deciding votes disagree.
    """

    label: str
    support: Count
    predicted: Count
    right: Count
    split: Count
    predictions: Count
    coverage: Reasoned[Figure]
    precision: Reasoned[Figure]
    recall: Reasoned[Figure]
    f1: Reasoned[Figure]
    calibration: ClassCalibration


class Pair(TypedDict):
    """Labelled predictions of one label and predicted class."""

    label: str
    predicted: str
    count: Count


class Bucket(TypedDict):
    """Labelled predictions of one class with a confidence in [low, high), the last bucket with its upper edge."""

    predicted: str
    low: float
    high: float
    count: Count
    wrong: Count


class Threshold(TypedDict):
    """From which confidence a class's predictions may be accepted unseen; null when no bucket is good enough."""

    predicted: str
    threshold: float | None
    supported_from: float | None
    support: Count


class TopK(Figure):
    """How often the label is among the first k, over the `count` rows whose rank can tell."""

    k: int
    right: Count
    count: Count


class Averages(TypedDict):
    """Precision, recall and F1 averaged over classes."""

    precision: Reasoned[Figure]
    recall: Reasoned[Figure]
    f1: Reasoned[Figure]
    classes: NotRequired[int | None]


class Reliability(TypedDict):
    """One bin of the reliability curve: what was said on average, and what share was right."""

    low: float
    high: float
    count: Count
    confidence: float
    accuracy: Reasoned[Figure]


class Calibration(ClassCalibration):
    """The same over all classes, with its curve."""

    low: NotRequired[float | None]  # of the error: as far as sampling noise may have moved it, to either side
    high: NotRequired[float | None]
    count: Count
    reliability: list[Reliability]


class Promised(Figure):
    """What earlier labels promise for other rows, by their confidence; `covered` of them are in a bin with labels."""

    covered: Count


class Check(TypedDict):
    """The promise of the earlier half of the days for the later half, beside what the labels there say."""

    learnt_until: str
    checked_from: str
    promised: Reasoned[Promised]
    labels: Reasoned[Figure]
    failed: str | None


class UnlabelledEstimate(Promised):
    """Accuracy expected of unlabelled predictions from their confidence; not valid under drift, and `reason` says so."""

    count: Count
    valid: bool
    check: Annotated[Check | None, Field(default=None)]


class LabelCount(TypedDict):
    """A label and how many predictions it names."""

    label: str
    count: Count


class UnnamedOf(TypedDict):
    """Predictions of one label that were called wrong without a class."""

    predicted: str
    count: Count


class UnnamedWrong(TypedDict):
    """Predictions that were called wrong without a class (docs/design.md#rule-4a-wrong-class-not-named).

    They are in accuracy, precision and confusion; recall, F1 and the averages lack them, and count them in their lower
    bounds as missed.
    """

    count: Count
    by_predicted: list[UnnamedOf]


class CorrectedClass(TypedDict):
    """One class in the predictions that a sample stands for; `support` and `predicted` are Kish's effective sizes."""

    label: str
    support: float
    predicted: float
    precision: Reasoned[Weighted]
    recall: Reasoned[Weighted]
    f1: Reasoned[Weighted]


class CorrectedPair(TypedDict):
    """The share of the predictions that a sample stands for with this label and predicted class."""

    label: str
    predicted: str
    share: float


class CorrectedCalibration(ClassCalibration):
    """The calibration error of the predictions that a sample stands for."""

    n_effective: float


class Corrected(TypedDict):
    """What the rows of one origin whose selection probability is known say of all predictions: each stands for 1/p."""

    labelled: Count
    n_effective: float
    per_class: list[CorrectedClass]
    confusion: list[CorrectedPair]
    calibration: CorrectedCalibration


class Version(TypedDict):
    """All figures of one model version."""

    predictions: Count
    labelled: Count
    split: Count
    coverage: Reasoned[Figure]
    accuracy: Reasoned[Figure]
    estimate: Reasoned[Estimate]
    by_origin: dict[Origin, OfOrigin]
    balanced_accuracy: Reasoned[Figure]
    macro: Averages
    weighted: Averages
    top_k: list[Reasoned[TopK]]
    per_class: list[OfClass]
    class_list: Literal["card", "labels and predictions seen"]
    new_labels: list[LabelCount]
    unnamed_wrong: Annotated[UnnamedWrong, Field(default={"count": 0, "by_predicted": []})]
    corrected: Annotated[dict[Origin, Corrected], Field(default={})]
    confusion: list[Pair]
    confusion_omitted: Count
    most_confused: list[Pair]
    confidence_buckets: list[Bucket]
    confidence_thresholds: list[Threshold]
    calibration: Calibration
    unlabelled_estimate: Reasoned[UnlabelledEstimate]
