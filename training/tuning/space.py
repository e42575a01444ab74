"""The space of a search: checked before the first trial, drawn from by Optuna, or laid out as a grid.

Values are drawn as they are written into the search (`study.json`): a list of choices, or a range.
"""

import itertools
import math
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from contract.errors import UsageError
from contract.sections.training import TrainFields
from contract.sections.tune import NETWORK, Range, TuneFields
from contract.tuning.documents import Search
from training.feed import augment

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MOST_OF_GRID = 100_000
FREEZING, UNFREEZING = "freeze_backbone", "unfreeze_share"
PRECISIONS = ("float32", "bfloat16")
Config = dict[str, Any]


def make_space(fields: TuneFields, networks: list[str], first: bool = False) -> dict[str, Any]:
    """Returns the space as plain JSON, by name; with several `networks` they are a choice like the others.

    `first`: of a first version, whose weights are random: freezing them is not searched. UsageError: a value that training would
    refuse, or a space in which there is nothing to choose.
    """
    space: dict[str, Any] = {name: values.model_dump() if isinstance(values, Range) else values
                             for name, values in sorted(fields.space.items()) if not (first and name == FREEZING)}
    for name in space.get("augment", []):
        augment.find_strength(name)
    if wrong := [name for name in space.get("precision", []) if name not in PRECISIONS]:
        raise UsageError(f"tune.space: precision: expected {' or '.join(PRECISIONS)}, got {wrong[0]!r}.")
    if len(networks) > 1:
        space[NETWORK] = networks
    if not any(isinstance(values, dict) or len(values) > 1 for values in space.values()):
        raise UsageError("tune.space: expected a setting with several choices or a range, there is none: nothing to search for.")
    return space


def check_freezing(search: Search) -> None:
    """Checks that no configuration freezes in two ways, which training refuses. UsageError: one does."""
    freezes, unfreezes = (_list_ends(search, name) for name in (FREEZING, UNFREEZING))
    if any(freezes) and any(unfreezes):
        raise UsageError(f"tune.space: expected trials that freeze in one way; some would have {FREEZING}: true and "
                         f"{UNFREEZING}: {max(unfreezes):g}. Leave {FREEZING} out of tune.space (the default has it), or "
                         f"set train.{UNFREEZING}=0.")


def _list_ends(search: Search, name: str) -> list[Any]:
    """Returns the choices of a setting, the ends of its range, or the one value that all trials have."""
    values = search.space.get(name, [search.settings.get(name)])
    return [values["low"], values["high"]] if isinstance(values, dict) else list(values)


def list_distributions(search: Search) -> "dict[str, BaseDistribution]":
    """Returns Optuna's distribution of each setting, by name."""
    from optuna import distributions as d

    def of(name: str, values: Any) -> "BaseDistribution":
        if not isinstance(values, dict):
            return d.CategoricalDistribution(values)
        if _is_whole(name):
            return d.IntDistribution(int(values["low"]), int(values["high"]), log=values["log"])
        return d.FloatDistribution(values["low"], values["high"], log=values["log"])

    return {name: of(name, values) for name, values in search.space.items()}


def list_grid(search: Search) -> list[Config]:
    """Returns every combination once, in an order that the seed shuffles: a search that ends early has seen all parts.

    A range counts as search.points values, its ends included; evenly by logarithm where it is logarithmic.
    """
    axes = _list_axes(search)
    grid = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    random.Random(search.seed).shuffle(grid)
    return grid


def count_trials(search: Search, asked: int) -> int:
    """Returns how many trials there are: as many as asked for, of a grid at most its combinations."""
    return min(asked, _count_grid(search)) if search.sampler == "grid" else asked


def name_first(search: Search) -> Config:
    """Returns one configuration of the space, by which it is checked. UsageError: a grid that nobody can lay out."""
    if search.sampler == "grid" and (size := _count_grid(search)) > MOST_OF_GRID:
        raise UsageError(f"tune.space: expected a grid of at most {MOST_OF_GRID:,} combinations, got {size:,}. Search fewer "
                         f"settings, or use --sampler tpe.")
    return {name: values[0] for name, values in _list_axes(search).items()}


def _list_axes(search: Search) -> dict[str, list[Any]]:
    return {name: _list_points(name, search.space[name], search.points) for name in sorted(search.space)}


def _count_grid(search: Search) -> int:
    return math.prod(map(len, _list_axes(search).values()))


def split_config(config: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Returns the settings of train: in a configuration, and its network (None: not a part of the space)."""
    return {name: value for name, value in config.items() if name != NETWORK}, config.get(NETWORK)


def _list_points(name: str, values: Any, points: int) -> list[Any]:
    if not isinstance(values, dict):
        return list(values)
    low, high = values["low"], values["high"]
    shares = [n / (points - 1) for n in range(points)]
    made = [low * (high / low) ** share if values["log"] else low + (high - low) * share for share in shares]
    made[-1] = high  # not a last bit beyond it
    return sorted({round(value) for value in made}) if _is_whole(name) else made


def _is_whole(name: str) -> bool:
    return TrainFields.model_fields[name].annotation is int
