"""The gate policy: what a model must hold, as data (the `gates:` section of trueup.yaml).

pipeline/gates.py judges by it; this module only says what may be set and what is meant.
"""

from pydantic import BaseModel, ConfigDict, Field


class GatePolicy(BaseModel):
    """Bounds and error rates. A bound that is null is not judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_accuracy: float | None = Field(0.90, gt=0, lt=1, description="the live version's accuracy must be at least this")
    min_new_labels: int = Field(50, ge=0, description="labels since the live version's dataset that a retraining needs")
    false_alarms_per_year: float = Field(0.05, gt=0, lt=1, description="error of the retraining gate, looked at daily")
    min_class_recall: float | None = Field(0.70, gt=0, lt=1, description="per class, one-sided exact test, Holm")
    min_class_precision: float | None = Field(None, gt=0, lt=1, description="per class, one-sided exact test, Holm")
    min_class_support: int = Field(20, ge=1, description="classes with fewer labels are not judged")
    max_class_drop: float = Field(0.10, ge=0, lt=1, description="promotion: a class may not be worse by more than this")
    max_drop: float = Field(0.0, ge=0, lt=1, description="promotion: the candidate may not be worse by more than this")
    trusted_origins: list[str] = Field(["audit", "import"], description="labels that gates believe")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="level of intervals and of the per-class family")
    retrainings: int = Field(4, ge=1, description="most retrainings in the period below")
    retraining_days: int = Field(30, ge=1, description="days of that period")
