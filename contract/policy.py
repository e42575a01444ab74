"""The gate policy: what a model must hold, as data (the `gates:` section of trueup.yaml).

    python -m contract.policy > docs/gates.yaml          the worked default, every field with its meaning

pipeline/gates/decide.py judges by it; this module only says what may be set and what is meant. A bound that is null is not
judged, so that a policy judges what somebody chose, and nothing else.
"""

import sys
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST, MOST_DAYS, MOST_SECONDS = 1 << 53, 36_500, 1_000_000_000  # beyond these, sums and moments overflow


Cost = Annotated[float, Field(ge=0, le=MOST)]


class Limited(BaseModel):
    """Settings whose numbers are finite, and no larger than what they are added to; unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        for name, value in self:
            most = MOST_DAYS if name.endswith("days") else MOST_SECONDS if name.endswith(("seconds", "_s")) else MOST
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int | float) and abs(number) > most:
                    raise ValueError(f"{name}: expected at most {most:,}")
        return self


class GatePolicy(Limited):
    """Bounds and error rates. A bound that is null is not judged."""

    min_accuracy: float | None = Field(0.90, gt=0, lt=1, description="the live version's accuracy must be at least this")
    min_new_labels: int = Field(50, ge=0, description="labels of one trusted origin that the accuracy gate needs, and "
                                "further trusted ones that a retraining needs after one that was refused or failed")
    estimate: Literal["origin", "combined"] = Field("origin", description="what the accuracy gate judges: the labels of "
                                                   "one origin, or the audit laid over all traffic (docs/combined.md)")
    false_alarms_per_year: float = Field(0.05, gt=0, lt=1, description="error of the retraining gate, looked at daily")
    window_days: list[int] = Field([], max_length=4, description="days of the retraining gate's windows, e.g. [7, 28], "
                                   "which share the error; empty: the evaluation's own window")
    max_age_days: float | None = Field(3, gt=0, description="older than this, the newest prediction tells nothing of today")
    min_class_recall: float | None = Field(0.70, gt=0, lt=1, description="per class, one-sided exact test, Holm")
    min_class_precision: float | None = Field(None, gt=0, lt=1, description="per class, one-sided exact test, Holm")
    min_slice_accuracy: float | None = Field(None, gt=0, lt=1, description="per value of each declared slice; one family "
                                             "(Holm) with the classes")
    min_class_support: int = Field(20, ge=1, description="classes and slice values with fewer labels are not judged")
    baseline: str | None = Field(None, description="what max_drop_from_baseline compares with: a version (3), or days of "
                                 "the evaluation's window (2026-10-01/2026-10-28)")
    max_drop_from_baseline: float | None = Field(None, ge=0, lt=1, description="accuracy may lie below the baseline's by "
                                                 "this much at the most")
    max_drop_from_trivial: float | None = Field(None, gt=-1, lt=1, description="the same against always answering the most "
                                                "frequent label; -0.2: must be better than that by 0.2")
    max_calibration_error: float | None = Field(None, gt=0, lt=1, description="expected calibration error (ECE) over the "
                                                "trusted labels may be this at the most")
    max_drift: float | None = Field(None, gt=0, le=1, description="Jensen-Shannon divergence (bits) of the predicted "
                                    "classes, newest day against the days before")
    max_picture_drift: float | None = Field(None, gt=0, le=1, description="Jensen-Shannon divergence (bits) of any measure "
                                            "of the newest day's pictures from the training pictures' (docs/picture-drift.md)")
    min_coverage: float | None = Field(None, gt=0, le=1, description="share of predictions that must have a trusted label; "
                                       "below it nothing can be told")
    min_audit_labels: int | None = Field(None, ge=1, description="predictions that must have an audit label; below it "
                                         "nothing can be told")
    min_accepted_accuracy: float | None = Field(None, gt=0, lt=1, description="accuracy of the answers that thresholds accept "
                                                "unseen (`trueup model thresholds`), over days that did not choose them")
    max_cost_per_1000: float | None = Field(None, gt=0, description="what mistakes cost per 1,000 predictions may be this at the "
                                            "most, in the unit of the costs below")
    costs: dict[str, dict[str, Cost]] = Field({}, description="label: {predicted: what that mistake costs}, or a file "
                                              "(costs.csv with label,predicted,cost; JSON; YAML)")
    default_cost: Cost = Field(1.0, description="of each mistake that costs do not name; what is right costs 0")
    review_cost: Cost | None = Field(None, description="of looking at one prediction; evaluations then say from which confidence "
                                     "on accepting is cheaper")
    max_class_drop: float = Field(0.10, ge=0, lt=1, description="promotion: a class may not be worse by more than this")
    max_drop: float = Field(0.0, ge=0, lt=1, description="promotion: the candidate may not be worse by more than this")
    max_forgetting: float | None = Field(None, ge=0, lt=1, description="promotion: on the held-out rows of the first dataset the "
                                         "candidate may not be worse than the live version by more than this")
    trusted_origins: list[str] = Field(["audit", "import"], description="labels that gates believe, here and in the promotion; "
                                       "each origin is judged by itself")
    allow_fragile: bool = Field(False, description="whether a verdict counts that one labeler or client alone decides; no: "
                                "it is `cannot tell`, fragile, and publishes nothing")
    min_held_out: int = Field(100, ge=1, description="promotion: held-out rows of one trusted origin that a comparison needs")
    shadow_labels: int = Field(0, ge=0, description="promotion: labelled predictions of one trusted origin that a candidate must "
                               "have answered as a shadow, and hold on, before it goes live; 0: not asked (docs/shadow.md)")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="level of intervals and of the per-class family")
    retrainings: int = Field(4, ge=1, description="most retrainings in the period below")
    retraining_days: int = Field(30, ge=1, description="days of that period")

    @property
    def has_costs(self) -> bool:
        """Whether somebody set what mistakes cost, so that an evaluation shows it."""
        return bool(self.costs) or self.default_cost != 1 or self.review_cost is not None or self.max_cost_per_1000 is not None


def explain_defaults() -> str:
    """The `gates:` section with every default and its meaning, as YAML."""
    import json

    lines = ["# Made by `python -m contract.policy`. Put what you change into trueup.yaml.", "gates:"]
    for name, field in GatePolicy.model_fields.items():
        lines.append(f"  {name + ': ' + json.dumps(field.default):<44}# {field.description}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(explain_defaults())
