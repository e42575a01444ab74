"""A search for settings of training (`trueup tune`): what it looks for, who takes which trial, and what was found."""

from typing import Any, Literal

from pydantic import Field

from contract import jsonio
from contract.documents.document import Document, Moment
from contract.run_owner import RunOwner

# stopped: the budget was spent; lost: its worker is gone, and the next start repeats it
TrialState = Literal["completed", "pruned", "stopped", "failed", "running", "lost"]


class Search(Document):
    """`study.json`: all that the trials of a search depend on. Its digest is the search's name, so the same command goes on."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    dataset: str
    parent: str | None  # version whose weights each trial starts from; None: trials of a first version
    networks: list[str]  # of a first version; more than one: a part of the space
    size: int | None
    grey: bool
    levels: list[int] | None = None  # of grey pictures of 16 bits: the values that become black and white
    epochs: int = Field(ge=1)
    objective: Literal["loss", "accuracy"]
    sampler: Literal["tpe", "random", "grid"]
    pruner: Literal["median", "hyperband", "none"]
    seed: int
    startup: int
    points: int
    space: dict[str, Any]  # setting of train: -> choices, or {low, high, log}
    settings: dict[str, Any]  # of train:, where the space names none

    @property
    def id(self) -> str:
        """16 hex digits of its content; a field that a release added is left out where it changes nothing, so that a search
        of before goes on."""
        return jsonio.digest({name: value for name, value in self.to_dict().items() if (name, value) != ("levels", None)})[:16]


class TrialClaim(RunOwner):
    """`claims/<trial>-<attempt>.json`: who trains a trial. The next attempt is created only when this one is dead."""

    worker: str


class Epoch(Document):
    """A trial's figures on the validation rows after an epoch."""

    epoch: int = Field(ge=1)
    loss: float
    accuracy: float


class TunedTrial(Document):
    """One trial. `value`: the objective after its last epoch; null: it failed, or its first epoch has not ended."""

    trial: int = Field(ge=1)
    state: TrialState
    config: dict[str, Any]
    epochs: list[Epoch]
    value: float | None
    seconds: float = Field(ge=0)
    attempts: int = Field(ge=1)
    error: str | None = None


class Tuning(Document):
    """`tuning.json`: what a search has found so far, worked out from its journal and written anew at each end of a command."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    study: str
    search: Search
    at: Moment
    trials: list[TunedTrial]
    best: int | None  # the completed trial with the best value, the first of equal ones
    importance: dict[str, float] | None  # setting -> its share in reaching the best quarter (PED-ANOVA); null: too few trials
    seconds: float = Field(ge=0)  # of all trials, attempts that were lost included
    candidate: str | None = None  # the version that was trained with the best trial's settings

    def find(self, number: int) -> TunedTrial:
        """Returns a trial by its number."""
        return next(one for one in self.trials if one.trial == number)
