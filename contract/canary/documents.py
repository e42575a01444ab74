"""A canary as the history has it, and what a replica counted of it (docs/design.md#a-canary)."""

from collections.abc import Iterable, Mapping
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from contract import layout
from contract.documents.document import Document, Moment
from contract.stores.store import Storage
from contract.texts.figures import write_bound


class Bounds(Document):
    """What a canary must hold, and how long a step lasts: `canary:` of the settings, as it was when the canary was started."""

    errors: float = Field(default=0.02, ge=0, lt=1)
    latency_ratio: float = Field(default=2.0, ge=1)
    disagreement: float = Field(default=0.10, ge=0, le=1)
    max_drop: float = Field(default=0.05, ge=0, lt=1)
    answers: int = Field(default=200, ge=1)
    labels: int = Field(default=0, ge=0)
    seconds: float = Field(default=600.0, ge=0)
    deadline_seconds: float = Field(default=1.0, gt=0)


class Expected(Document):
    """On how many of `n` held-out rows the candidate and the live version named different labels when they were assessed."""

    n: int = Field(ge=1)
    differ: int = Field(ge=0)


class Canary(Document):
    """`state.canary`: a version that answers a share of the predictions in place of `live`. `step` counts from 0."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    version: str
    live: str
    salt: str
    step: int = Field(default=0, ge=0)
    steps: list[float] = Field(min_length=1)
    started_at: Moment
    stepped_at: Moment
    by: str = ""
    bounds: Bounds = Bounds()
    expected: Expected | None = None

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        if why := explain_bad_steps(self.steps):
            raise ValueError(why)
        if self.step >= len(self.steps):
            raise ValueError(f"expected a step below {len(self.steps)}, got {self.step}")
        return self

    @property
    def share(self) -> float:
        """The share of the predictions that it answers now."""
        return self.steps[self.step]

    def describe(self) -> str:
        """Says which version answers which share, and at which step that is."""
        return (f"version {self.version} answers {write_bound(self.share)} of the predictions in place of version {self.live} "
                f"(step {self.step + 1} of {len(self.steps)})")


class StepCounts(Document):
    """What was counted during one step. `answers`: predictions that were the canary's, `errors` of them answered by the live
    version instead; `compared`: those that the live version computed, too; `differ`, `slower`: of the compared ones."""

    answers: int = Field(default=0, ge=0)
    errors: int = Field(default=0, ge=0)
    compared: int = Field(default=0, ge=0)
    differ: int = Field(default=0, ge=0)
    slower: int = Field(default=0, ge=0)

    def __add__(self, other: "StepCounts") -> "StepCounts":
        return StepCounts(answers=self.answers + other.answers, errors=self.errors + other.errors,
                          compared=self.compared + other.compared, differ=self.differ + other.differ,
                          slower=self.slower + other.slower)


NOTHING = StepCounts()


class ReplicaCounts(Document):
    """`models/<model>/canaries/<salt>/<replica>.json`: what one replica counted of a canary, by step.

    `stopped`: why this replica routes nothing to it any more.
    """

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    salt: str
    version: str
    replica: str
    at: Moment
    steps: dict[int, StepCounts] = {}
    stopped: str | None = None


def explain_bad_steps(steps: list[float]) -> str | None:
    """Says what is wrong with the shares of a canary; None when nothing is."""
    if not steps or any(not 0 < share < 1 for share in steps) or any(b <= a for a, b in zip(steps, steps[1:], strict=False)):
        return f"expected rising shares above 0 and below 1, such as [0.01, 0.05, 0.25, 0.5], got {steps}"
    return None


def load_counts(storage: Storage, model: str, salt: str) -> list[ReplicaCounts]:
    """Reads what every replica counted of a canary. DamagedDocument: one of them cannot be read."""
    return [ReplicaCounts.load(storage, entry.key) for entry in sorted(storage.list(layout.canary_counts(model, salt)))]


def sum_counts(documents: Iterable[ReplicaCounts]) -> Mapping[int, StepCounts]:
    """Adds what several replicas counted, by step."""
    found: dict[int, StepCounts] = {}
    for document in documents:
        for step, counts in document.steps.items():
            found[step] = found.get(step, NOTHING) + counts
    return found
