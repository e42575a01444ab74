"""`tune:`, the search for better settings of training (docs/tuning.md)."""

from typing import Any

from pydantic import Field, ValidationError, field_validator

from contract.policy import Limited
from contract.sections.training import TrainFields

# Settings of `train:` that say where, how often or how long training runs, what comes after it, or that one rank alone cannot
# have: no trial would differ by them.
NOT_SEARCHED = ("cache_mib", "calibrate", "checkpoint_steps", "compile", "device", "epochs", "launcher", "log_dir", "min_ranks",
                "patience", "ranks", "retries", "seed", "sync_batchnorm", "threads")
NETWORK = "network"  # a parameter beside the settings: which of `networks` a first version gets
OF_RANGE = {"low", "high", "log"}

Choices = list[Any]


class Range(Limited):
    """All values from `low` to `high`, both included; `log`: drawn evenly by their logarithms."""

    low: float
    high: float
    log: bool = False


class TuneFields(Limited):
    """The search for settings of training."""

    space: dict[str, Range | Choices] = Field(
        {"lr": Range(low=3e-4, high=1e-2, log=True), "warmup_share": [0.0, 0.1, 0.3], "augment": ["none", "light", "photo"],
         "freeze_backbone": [False, True], "label_smoothing": [0.0, 0.05, 0.1],
         "weight_decay": Range(low=1e-4, high=0.1, log=True)},
        description="setting of train: -> a list of choices, or a range {low: …, high: …, log: true}")
    networks: list[str] = Field([], description="networks that a first version (--parent none) is tried with; empty: --network")
    trials: int = Field(20, ge=1, le=9999, description="trials of a search, all together")
    minutes: float | None = Field(None, gt=0, description="budget: minutes that all trials together may take; null: no limit")
    trial_epochs: int | None = Field(None, ge=1, description="passes of a trial over the training rows; null: as train.epochs")
    sampler: str = Field("tpe", pattern="^(tpe|random|grid)$", description="tpe (learns from the trials before), random, or grid "
                         "(every combination once)")
    startup: int = Field(8, ge=1, description="random trials before tpe learns from them, and that end before any is pruned")
    points: int = Field(3, ge=2, le=100, description="values that grid takes of a range, its ends included")
    pruner: str = Field("median", pattern="^(median|hyperband|none)$", description="which trials end early: median (worse than "
                        "half of the others after as many epochs), hyperband, or none")
    objective: str = Field("loss", pattern="^(loss|accuracy)$", description="which figure of the validation rows decides")
    sampler_seed: int = Field(1, ge=0, description="of what the sampler draws")
    trial_launcher: str = Field("process", pattern="^(process|spark)$", description="process (one trial after the other, here) "
                                "or spark (on executors)")
    parallel: int = Field(2, ge=1, description="with spark: trials side by side")

    @field_validator("space", mode="before")
    @classmethod
    def _values_are_legal(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {str(name): _read_values(str(name), values) for name, values in given.items()}

    @field_validator("networks")
    @classmethod
    def _networks_differ(cls, given: list[str]) -> list[str]:
        if len(set(given)) < len(given):
            raise ValueError(f"networks: {given}: expected each network once")
        return given


def _read_values(name: str, given: Any) -> Range | Choices:
    """Returns the range or choices of one setting as the type of that setting; ValueError says what is wrong."""
    if name in NOT_SEARCHED:
        raise ValueError(f"space: {name}: expected a setting that says how is trained; this one says where or how long, or what "
                         f"comes after. Set train.{name}")
    if name not in TrainFields.model_fields:
        raise ValueError(f"space: {name}: expected a setting of train:, there is none of this name")
    if isinstance(given, Range):
        given = given.model_dump()
    if isinstance(given, dict):
        return _read_range(name, given)
    if not isinstance(given, list) or not given:
        raise ValueError(f"space: {name}: expected a list of choices or a range {{low: …, high: …}}, got {given!r}")
    choices = [_read_value(name, value) for value in given]
    if len({repr(choice) for choice in choices}) < len(choices):
        raise ValueError(f"space: {name}: {given}: expected each choice once")
    return choices


def _read_range(name: str, given: dict[str, Any]) -> Range:
    if not {"low", "high"} <= set(given) <= OF_RANGE:
        raise ValueError(f"space: {name}: expected a range {{low: …, high: …, log: true}}, got {given}")
    ends = [_read_value(name, given[end]) for end in ("low", "high")]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        raise ValueError(f"space: {name}: expected a list of choices, not a range: its values are no numbers")
    logarithmic = given.get("log", False)
    if not isinstance(logarithmic, bool) or not ends[0] < ends[1] or (logarithmic and ends[0] <= 0):
        raise ValueError(f"space: {name}: {given}: expected low < high, and with log: true a low above 0")
    return Range(low=ends[0], high=ends[1], log=logarithmic)


def _read_value(name: str, value: Any) -> Any:
    try:
        return getattr(TrainFields(**{name: value}), name)
    except ValidationError as error:
        raise ValueError(f"space: {name}: {value!r} is no value of train.{name}: {error.errors()[0]['msg']}") from None
