"""`evaluation.json` as typed models (docs/design.md#evaluationjson), and its published schema.

    python -m contract.documents.evaluation > docs/schemas/evaluation.schema.json
"""

import sys
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from contract import jsonio
from contract.counts import RULES
from contract.documents.document import Document

Origin = Literal["audit", "review", "import", "feedback"]
Count = Annotated[int, Field(ge=0)]


class Figure(Document):
    """A value with its interval. What could not be computed is null, and then `reason` says why."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if None in (self.value, self.low, self.high) and not self.reason:
            raise ValueError("a null value or bound needs a reason")
        return self


class Estimate(Figure):
    """The accuracy to believe: of which origin, whether weighted by 1/p, resting on how many rows in effect."""

    origin: Origin | None
    n_effective: float
    weighted: bool
    unbiased: bool = False  # a documented sample, answered to 90%
    rests_on: str = ""
    response_rate: float | None = None


class Weighted(Figure):
    """The share weighted by the inverse selection probabilities."""

    n_effective: float | None


class OfOrigin(Document):
    """The labels of one origin class."""

    labelled: Count
    accuracy: Figure
    weighted: Weighted


class ClassCalibration(Document):
    """Expected calibration error beside the 95% value that a calibrated model would show at these sizes."""

    ece: float | None
    ece_95_if_calibrated: float | None
    reason: str | None = None


class OfClass(Document):
    """One class. `support`, `predicted` and the ratios rest on labelled predictions, `predictions` on all.

    Of those that predicted this class, `right` were confirmed, and of `split` the deciding votes disagree.
    """

    label: str
    support: Count
    predicted: Count
    right: Count
    split: Count
    predictions: Count
    coverage: Figure
    precision: Figure
    recall: Figure
    f1: Figure
    calibration: ClassCalibration


class Pair(Document):
    """Labelled predictions of one label and predicted class."""

    label: str
    predicted: str
    count: Count


class Bucket(Document):
    """Labelled predictions of one class with a confidence in [low, high), the last bucket with its upper edge."""

    predicted: str
    low: float
    high: float
    count: Count
    wrong: Count


class Threshold(Document):
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


class Averages(Document):
    """Precision, recall and F1 averaged over classes."""

    precision: Figure
    recall: Figure
    f1: Figure
    classes: int | None = None


class Reliability(Document):
    """One bin of the reliability curve: what was said on average, and what share was right."""

    low: float
    high: float
    count: Count
    confidence: float
    accuracy: Figure


class Calibration(ClassCalibration):
    """The same over all classes, with its curve."""

    count: Count
    reliability: list[Reliability]


class Promised(Figure):
    """What earlier labels promise for other rows, by their confidence; `covered` of them are in a bin with labels."""

    covered: Count


class Check(Document):
    """The promise of the earlier half of the days for the later half, beside what the labels there say."""

    learnt_until: str
    checked_from: str
    promised: Promised
    labels: Figure
    failed: str | None


class UnlabelledEstimate(Promised):
    """Accuracy expected of unlabelled predictions from their confidence; not valid under drift, and `reason` says so."""

    count: Count
    valid: bool
    check: Check | None = None


class LabelCount(Document):
    """A label and how many predictions it names."""

    label: str
    count: Count


class Version(Document):
    """All figures of one model version."""

    predictions: Count
    labelled: Count
    split: Count
    coverage: Figure
    accuracy: Figure
    estimate: Estimate
    by_origin: dict[Origin, OfOrigin]
    balanced_accuracy: Figure
    macro: Averages
    weighted: Averages
    top_k: list[TopK]
    per_class: list[OfClass]
    class_list: Literal["card", "labels and predictions seen"]
    new_labels: list[LabelCount]
    confusion: list[Pair]
    confusion_omitted: Count
    most_confused: list[Pair]
    confidence_buckets: list[Bucket]
    confidence_thresholds: list[Threshold]
    calibration: Calibration
    unlabelled_estimate: UnlabelledEstimate


class Window(Document):
    """Prediction days, both included."""

    from_: str = Field(alias="from")
    to: str


class Rows(Document):
    """What became of every row that was read (docs/design.md#rule-2-prediction-rows, #rule-3-label-rows)."""

    predictions: Count
    invalid_predictions: Count
    misfiled_predictions: Count
    future_predictions: Count
    duplicate_predictions: Count
    labels: Count
    other_model: Count
    invalid: Count
    misfiled: Count
    future: Count
    duplicate: Count
    orphan: Count
    superseded: Count
    withdrawn: Count
    vote: Count


class TrendPoint(Document):
    """One version on one day; provisional until 90% of the day's labels are expected to have come."""

    day: str
    version: str
    predictions: Count
    labelled: Count
    accuracy: Figure
    estimate: Estimate
    labels_expected_so_far: float | None
    provisional: bool
    reason: str | None = None


class Divergence(Document):
    """PSI and Jensen-Shannon (bits), each beside its 95% value when nothing changed at these sizes."""

    psi: float | None
    psi_95: float | None
    js: float | None
    js_95: float | None
    reason: str | None = None


class Drift(Document):
    """The newest day against the days before it."""

    current: list[str]
    reference: list[str]
    predicted: Divergence | None = None
    confidence: Divergence | None = None
    reason: str | None = None


class NewOfClass(Document):
    """Labelled predictions of one label, and those among them that were predicted otherwise."""

    label: str
    labelled: Count
    mismatches: Count


class SinceDataset(Document):
    """What has come since the live version's dataset was made, of prediction days `after` its window."""

    version: str
    dataset: str | None
    after: str | None
    labelled: Count
    mismatches: Count
    per_class: list[NewOfClass]
    reason: str | None = None


class SliceValue(Document):
    """One value of a declared slice, for one version."""

    slice: str
    value: str | None
    version: str
    predictions: Count
    labelled: Count
    accuracy: Figure
    by_origin: dict[Origin, Figure]


class Labeler(Document):
    """One labeler's votes and agreement with the consensus; null: votes that name nobody."""

    labeler: str | None
    votes: Count
    agreements: Count
    agreement: Figure


class Alpha(Document):
    """Krippendorff's alpha over the votes of predictions that have two or more."""

    value: float | None
    votes: Count
    labels: Count
    reason: str | None = None


class Consensus(Document):
    """How several votes on a prediction become one label: most votes, weighted where a fit says how much whose counts."""

    rule: Literal["majority"]
    fit: str | None
    labeler_weights: dict[str, float]


class Delay(Document):
    """Votes that came so many days after the prediction."""

    days: int
    origin: Origin
    n: Count


class Delays(Document):
    """How late labels come: the share that has come within 1, 2, 7 and 14 days, and the counts."""

    share_within: dict[str, float | None]
    reason: str | None = None
    labels: list[Delay]


class Evaluation(Document):
    """`evaluation.json`: one model over one window of prediction days."""

    schema_: Literal["1"] = Field(alias="schema")
    model: str
    window: Window
    as_of: str
    engine: str
    role: str
    rules: Literal[RULES]
    consensus: Consensus | None = None
    partial: list[Any]
    counts: dict[str, str]
    rows: Rows
    versions: dict[str, Version]
    reason: str | None = None
    confidence: float
    accepted_ratio: float
    trend: list[TrendPoint]
    drift: Drift
    since_dataset: SinceDataset | None = None
    slices: list[SliceValue]
    labelers: list[Labeler]
    alpha: Alpha
    delays: Delays


def schema() -> dict[str, Any]:
    """The JSON schema of `evaluation.json`."""
    found = Evaluation.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


if __name__ == "__main__":
    sys.stdout.write(jsonio.dumps(schema()).decode())
