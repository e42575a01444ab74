"""`evaluation.json` as types (docs/design.md#evaluationjson): what metrics/ builds, readers read and the schema says.

They are types of plain dictionaries, which mypy checks and which cost nothing at run time. A field with a default was
added later: it is always written, and read as its default from older documents. `NotRequired` ones are not always there.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Literal, NotRequired, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic reads typing.TypedDict from Python 3.12 on only

from contract.counts import RULES, Origin
from contract.documents.document import mismatch

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


_From = TypedDict("_From", {"from": str})  # a word of Python, so no class can have it


class Window(_From):
    """Prediction days, both included."""

    to: str


class Rows(TypedDict):
    """What became of every row that was read (docs/design.md#rule-2-prediction-rows, #rule-3-label-rows)."""

    predictions: Count
    invalid_predictions: Count
    misfiled_predictions: Count
    future_predictions: Count
    duplicate_predictions: Count
    labels: Count
    other_model: Count
    unknown_role: Annotated[Count, Field(default=0)]
    invalid: Count
    misfiled: Count
    future: Count
    duplicate: Count
    orphan: Count
    other_answer: Annotated[Count, Field(default=0)]
    superseded: Count
    withdrawn: Count
    vote: Count


class TrendPoint(TypedDict):
    """One version on one day; provisional until 90% of the day's labels are expected to have come."""

    day: str
    version: str
    predictions: Count
    labelled: Count
    accuracy: Reasoned[Figure]
    estimate: Reasoned[Estimate]
    labels_expected_so_far: float | None
    provisional: bool
    reason: NotRequired[str | None]


class Divergence(TypedDict):
    """PSI and Jensen-Shannon (bits), each beside its 95% value when nothing changed at these sizes."""

    psi: float | None
    psi_95: float | None
    js: float | None
    js_95: float | None
    js_low: NotRequired[float | None]  # what the divergence may be, chance having moved it by up to js_95
    js_high: NotRequired[float | None]
    reason: NotRequired[str | None]


class Drift(TypedDict):
    """The newest day against the days before it."""

    current: list[str]
    reference: list[str]
    predicted: NotRequired[Divergence]
    confidence: NotRequired[Divergence]
    reason: NotRequired[str | None]


class NewOfClass(TypedDict):
    """Labelled predictions of one label, and those among them that were predicted otherwise."""

    label: str
    labelled: Count
    mismatches: Count


class SinceDataset(TypedDict):
    """What has come since the live version's dataset was made, of prediction days `after` its window."""

    version: str
    dataset: str | None
    after: str | None
    labelled: Count
    mismatches: Count
    per_class: list[NewOfClass]
    reason: NotRequired[str | None]


class SliceValue(TypedDict):
    """One value of a declared slice, for one version."""

    slice: str
    value: str | None
    version: str
    predictions: Count
    labelled: Count
    accuracy: Reasoned[Figure]
    by_origin: dict[Origin, Reasoned[Figure]]
    weighted: Annotated[dict[Origin, Reasoned[Weighted]], Field(default={})]  # where selection probabilities are known


class Labeler(TypedDict):
    """One labeler's votes, how many name the consensus, and agreement with other people; null: nobody is named."""

    labeler: str | None
    votes: Count
    agreements: Count
    pairs: Annotated[Count, Field(default=0)]
    agreeing_pairs: Annotated[Count, Field(default=0)]
    agreement: Reasoned[Figure]


class Alpha(TypedDict):
    """Krippendorff's alpha over the votes of predictions that have two or more."""

    value: float | None
    low: NotRequired[float | None]  # jackknife over days; null below two days that have such predictions
    high: NotRequired[float | None]
    votes: Count
    labels: Count
    reason: NotRequired[str | None]


class Consensus(TypedDict):
    """How several votes on a prediction become one label: most votes, weighted where a fit says how much whose counts."""

    rule: Literal["majority"]
    fit: str | None
    labeler_weights: dict[str, float]


class Delay(TypedDict):
    """Votes that came so many days after the prediction."""

    days: int
    origin: Origin
    n: Count


class Delays(TypedDict):
    """How late labels come: the share that has come within 1, 2, 7 and 14 days, and the counts."""

    share_within: dict[str, float | None]
    reason: NotRequired[str | None]
    labels: list[Delay]


class LeftOut(TypedDict):
    """A file that could not be read, and why."""

    file: str
    reason: str


class Evaluation(TypedDict):
    """`evaluation.json`: one model over one window of prediction days."""

    schema: Literal["1"]
    model: str
    window: Window
    as_of: str
    engine: str
    role: str
    roles: Annotated[dict[str, str], Field(default={})]  # other words for roles, and what they mean
    rules: Annotated[str, Field(json_schema_extra={"const": RULES})]
    consensus: Annotated[Consensus | None, Field(default=None)]
    partial: list[LeftOut]
    counts: dict[str, str]
    rows: Rows
    versions: dict[str, Version]
    reason: NotRequired[str | None]
    models_with_rows: NotRequired[list[str]]
    newest_day: NotRequired[str | None]  # newest prediction day of the root, of any model, that there was at as_of
    confidence: float
    accepted_ratio: float
    trend: list[TrendPoint]
    drift: Drift
    since_dataset: Annotated[SinceDataset | None, Field(default=None)]
    slices: list[SliceValue]
    labelers: list[Labeler]
    alpha: Alpha
    delays: Delays


@cache
def _adapter() -> TypeAdapter[Evaluation]:
    return TypeAdapter(Evaluation)


def parse(data: bytes, where: str) -> Evaluation:
    """The evaluation in JSON, without fields that it does not know; Mismatch names `where` and the first wrong field."""
    try:
        return _adapter().validate_json(data)
    except ValidationError as error:
        raise mismatch(where, "Evaluation", error) from error
