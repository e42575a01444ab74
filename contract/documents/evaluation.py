"""`evaluation.json` as types (docs/design.md#evaluationjson): what metrics/ builds, readers read and the schema says.

They are types of plain dictionaries, which mypy checks and which cost nothing at run time. A field with a default was
added later: it is always written, and read as its default from older documents. `NotRequired` ones are not always there.
"""

import re
from functools import cache
from typing import Annotated, Literal, NotRequired, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic reads typing.TypedDict from Python 3.12 on only

from contract import jsonio
from contract.counts import RULES, Origin
from contract.documents.document import mismatch
from contract.documents.version_figures import Count, Estimate, Figure, Reasoned, Version, Weighted
from contract.errors import DamagedDocument
from contract.evidence.evidence import Evidence

# A number that may be too large. Two patterns, each with a letter that it begins with: one for both is ten times slower.
LARGE = (re.compile(rb"e\+?[0-9]{3}"), re.compile(rb"E\+?[0-9]{3}"))

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
    # Of the rows above, those that hold a value which cannot be (docs/design.md#impossible-values).
    impossible_predictions: Annotated[Count, Field(default=0)]
    impossible_labels: Annotated[Count, Field(default=0)]


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
    """How several votes on a prediction become one label: most votes, weighted where a fit says how much whose counts, or the
    highest score by a fit of the full form."""

    rule: Literal["majority", "scores"]
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


class Doubt(TypedDict):
    """Why figures may say nothing: what was found in the rows, as a sentence; `version` where it is of one alone."""

    kind: Literal["no class named", "missing values", "without prediction", "version lost", "versions share ids",
                  "impossible values"]
    version: str | None
    sentence: str


class Evaluation(TypedDict):
    """`evaluation.json`: one model over one window of prediction days."""

    schema: Literal["1"]
    model: str
    window: Window
    as_of: str
    engine: str
    role: str
    roles: Annotated[dict[str, str], Field(default={})]  # other words for roles, and what they mean
    model_version: Annotated[str | None, Field(default=None)]  # rows of this version alone were counted (role replay)
    rules: Annotated[str, Field(json_schema_extra={"const": RULES})]
    consensus: Annotated[Consensus | None, Field(default=None)]
    partial: list[LeftOut]
    counts: dict[str, str]
    rows: Rows
    versions: dict[str, Version]
    reason: NotRequired[str | None]
    doubts: Annotated[list[Doubt], Field(default=[])]
    expired: NotRequired[list[str]]  # days whose rows went by age: their counts are those that were kept
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
    evidence: NotRequired[Evidence]  # only what was asked for
    bucket_edges: NotRequired[list[float]]  # of the confidence buckets, where they were set
    rests_on: NotRequired[dict[str, str]]  # key of a document that it was made from -> sha256 of its bytes
    tables: NotRequired[dict[str, str]]  # name of a table beside it -> sha256 of its bytes


T = TypeVar("T")


@cache
def _adapter() -> TypeAdapter[Evaluation]:
    return TypeAdapter(Evaluation)


def _may_hold_odd_number(data: bytes) -> bool:
    """Whether NaN, an infinity or a number that is too large may stand in JSON: pydantic's reader takes them all."""
    return b"NaN" in data or b"Infinity" in data or any(pattern.search(data) for pattern in LARGE)


def parse(data: bytes, where: str) -> Evaluation:
    """The evaluation in JSON, without fields that it does not know; DamagedDocument names `where` and the first wrong field."""
    return parse_as(_adapter(), data, where)


def parse_as(adapter: TypeAdapter[T], data: bytes, where: str) -> T:
    """What an adapter takes of an evaluation in JSON; DamagedDocument as `parse`."""
    try:
        found = adapter.validate_json(data)
        if _may_hold_odd_number(data):
            jsonio.loads(data)
    except ValidationError as error:
        raise mismatch(where, "Evaluation", error) from error
    except ValueError as error:
        raise DamagedDocument(f"{where}: expected an Evaluation document; {error}.") from None
    return found
