"""`decision.json` as typed models, and its published schema: what the gates said of one evaluation, and why.

    python -m contract.documents.schemas docs/schemas      writes its schema, and all others
"""

from typing import Any, Literal

from pydantic import Field

from contract.documents.document import Document, Moment
from contract.documents.version_figures import Count

Verdict = Literal["pass", "fail", "cannot tell", "not judged"]


class Override(Document):
    """A person's word that a gate passes until then (history)."""

    gate: str
    by: str
    reason: str
    at: str
    until: str


class ClassRow(Document):
    """One class of a per-class gate: `right` of `n`, its interval, p of "not below the bound", and Holm's p.

    Where rows have unequal weights `right` is null and `n_effective` is Kish's size. `low` counts rows that were called
    wrong without a class, and may belong here, as missed; `low_named` does not.
    """

    label: str
    right: Count | None
    n: Count
    n_effective: float | None = None
    low_named: float | None = None
    reason: str | None = None
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None = None  # of judged classes
    verdict: Verdict


class RestsOn(Document):
    """Somebody without whom a gate would say otherwise: their votes, and the gate's figure without them.

    `label`: the class that decides, of a gate over classes.
    """

    kind: Literal["labeler", "client"]
    name: str | None
    votes: Count
    share: float
    value: float | None
    p: float | None
    label: str | None = None


class Gate(Document):
    """One gate. Figures of a per-class gate are those of its worst class; `level` is the p at which it fails.

    The accuracy gate rests on `n` rows of one `origin`. Where these have unequal weights `right` is null, `n_effective` is
    Kish's size, and `size` the one that the share's linearised variance stands for, at which p is taken.
    """

    gate: Literal["accuracy", "class_recall", "class_precision", "slices", "drop_from_baseline", "drop_from_trivial",
                  "calibration", "drift", "picture_drift", "cost", "accepted_accuracy", "coverage", "audit_labels", "freshness",
                  "scope", "complete"]
    verdict: Verdict
    sentence: str
    reason: str | None = None  # why it cannot tell
    bound: float | None = None
    level: float | None = None
    right: Count | None = None
    n: Count | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    origin: str | None = None
    estimate: str | None = None  # "combined": post-stratified over all traffic
    weighted: bool | None = None
    n_effective: float | None = None
    size: float | None = None
    level_low: float | None = None  # the interval of the test, at `level`
    level_high: float | None = None
    newest_day: str | None = None  # of the freshness gate: the last day with a prediction, and how old it may be
    max_age_days: float | None = None
    worst: str | None = None
    classes: list[ClassRow] | None = None
    judged: Count | None = None
    not_judged: Count | None = None
    failed: list[str] | None = None
    undecided: list[str] | None = None
    verdict_of_the_gate: Verdict | None = None  # what it said itself, when a person overrode it, or when it is fragile
    fragile: list[RestsOn] | None = None  # who decides it alone, the most telling first; null: nobody, or not recounted
    override: Override | None = None
    left_out: list[Any] | None = None  # of a partial evaluation
    days: Count | None = None  # of one of several windows: its length
    predictions: Count | None = None  # of the coverage gate; of that of pictures, distinct pictures of the newest day
    baseline: str | None = None
    baseline_right: Count | None = None
    baseline_n: Count | None = None
    trivial_label: str | None = None  # the most frequent label; on so many rows only one of the two is right:
    only_model: Count | None = None
    only_trivial: Count | None = None


class Wish(Document):
    """Labels that would decide an open question in 80% of cases; null: no number up to 100,000 would.

    `items` is how many predictions a random audit has to ask about until so many `labels` (of that class) came by.
    """

    gate: str
    label: str | None
    blocks: bool
    labels: Count | None
    items: Count | None


class Ask(Document):
    """What the review queue is to draw so that the blocking wishes come true."""

    kind: Literal["audit"]
    strategy: Literal["random-audit"]
    items: Count


class Wishes(Document):
    """The open questions, blocking ones first, and what to ask people for."""

    power: float
    rows: list[Wish]
    rows_omitted: Count
    ask: Ask | None


class Retrain(Document):
    """Whether a retraining begins; if not, why. `spent` of `budget` in the last `days`.

    `further_labels`: trusted labels since the last attempt to replace this version, null when there was none.
    """

    fires: bool
    wanted: bool | None = None  # the accuracy gate fails, whether or not a retraining begins
    reason: str | None
    spent: Count
    budget: Count
    days: Count
    further_labels: Count | None = None
    needed_labels: Count | None = None


class Labels(Document):
    """Labelled predictions of the judged version in the window."""

    of_all_origins: Count
    of_trusted_origins: Count


class Decision(Document):
    """`evaluations/<model>/<id>/decision.json`; the same inputs give the same content but for `decided_at`."""

    schema_: Literal["1"] = Field(alias="schema")
    model: str
    version: str
    evaluation: str
    role: str = "live"
    window: dict[Literal["from", "to"], str]
    as_of: str
    decided_at: str
    policy: dict[str, Any]
    labels: Labels
    gates: list[Gate]
    verdict: Literal["pass", "fail", "cannot tell"]
    reasons: list[str]
    exit_code: Literal[0, 3, 4]
    retrain: Retrain
    wishes: Wishes | None = None
    sentence: str
    rests_on: dict[str, str] = {}  # key of what it was made from -> sha256 of its bytes
    digest: str | None = None  # sha256 of the canonical form of everything else here


class Judgement(Document):
    """What those who only show a decision need of it; by an older release, too."""

    version: str
    verdict: str
    sentence: str
    gates: list[Gate]
    as_of: Moment | None = None
    reasons: list[str] = []
    wishes: Wishes | None = None
    labels: Labels | None = None
    retrain: Retrain | None = None
