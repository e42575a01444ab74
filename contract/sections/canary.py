"""`canary:`, the steps and bounds of a canary (docs/canary.md). They are kept with the canary when it is started."""

from typing import Self

from pydantic import Field, model_validator

from contract.canary.documents import Bounds, explain_bad_steps
from contract.policy import Limited


class CanaryFields(Limited):
    """How a version comes to be live step by step."""

    steps: list[float] = Field([0.01, 0.05, 0.25, 0.5], description="shares of the predictions that the version answers, one "
                               "after the other")
    errors: float = Field(0.02, ge=0, lt=1, description="share of its answers that may fail or be too late; the live version "
                          "answers these")
    latency_ratio: float = Field(2.0, ge=1, description="half of its answers may take so many times as long as the live "
                                 "version's of the same pictures")
    disagreement: float = Field(0.10, ge=0, le=1, description="share by which it may differ from the live version more often "
                                "than on the held-out rows of its assessment")
    max_drop: float = Field(0.05, ge=0, lt=1, description="accuracy of its labelled rows may lie below the live version's by "
                            "this much")
    answers: int = Field(200, ge=1, description="answers of the canary that a step needs")
    labels: int = Field(0, ge=0, description="trusted labels of its rows that each step needs")
    seconds: float = Field(600.0, ge=0, description="least duration of a step")
    deadline_seconds: float = Field(1.0, gt=0, description="when its answer comes later, the live version answers")
    look_seconds: float = Field(10.0, gt=0, description="how often `trueup model canary run` looks")

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        if why := explain_bad_steps(self.steps):
            raise ValueError(f"steps: {why}")
        return self

    def make_bounds(self) -> Bounds:
        """Takes what is kept with a canary."""
        return Bounds(**self.model_dump(include=set(Bounds.model_fields)))
