"""The report of a rehearsal in an account (`trueup emr rehearse`): each step with time and cost, and what was not as planned."""

from typing import Any, Literal

from pydantic import Field

from contract.documents.document import Document, Moment


class RehearsedStep(Document):
    """One step: how it ended, its seconds, what it said; its dollars once the bill was read, by the price table."""

    step: str
    state: Literal["done", "failed", "begun"]
    seconds: float = Field(ge=0)
    dollars: float | None = None
    said: list[str] = []


class RehearsedStage(Document):
    """One stage on its cluster, beside its plan. None: it was not reached, or EMR may not be asked."""

    stage: str
    cluster: str | None = None
    state: str | None = None
    planned_nodes: dict[str, int]
    nodes: dict[str, int] | None = None
    limit_minutes: float
    minutes: float | None = None
    planned_dollars: dict[str, float]  # low: a cluster's start alone; high: until the stage's limit
    dollars: float | None = None


class Rehearsal(Document):
    """The whole rehearsal; written again after every step, so that one that was killed leaves what it knew."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    stack: str
    root: str
    region: str
    began: Moment
    removes_itself_at: Moment
    ceiling: dict[str, Any]
    accepted: float  # the dollars that whoever began it agreed to
    steps: list[RehearsedStep] = []
    stages: list[RehearsedStage] = []
    dollars: float | None = None
    differed: list[str] = []
    left: list[str] = []
    error: str | None = None
