"""Which days and which role a sample is drawn for, from what `trueup review sample` was told."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from contract import clock, layout
from contract.counts import ROLES
from contract.days import prediction_days
from contract.errors import UsageError
from contract.registry import models
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.samples import Cell
from contract.stores.store import Storage
from inference.labelling.items import count_cells

IMPORT = "import"  # a word for the role of a model's imported rows, whichever it is
WORDS = (*ROLES, IMPORT)


def find_role(storage: Storage, model: str, word: str, days: Iterable[str]) -> str:
    """Finds the role that an option means: a role, or `import`, the one role that the rows of a foreign model have.

    UsageError: the model was published here, so its rows are not another system's; or they have no role or several.
    """
    role = word.lower()
    if role != IMPORT:
        return role
    if model in models(storage):
        raise UsageError(f"--role import: expected a model of another system, and {model!r} is published here. Name the role of "
                         f"the predictions that are meant: {', '.join(ROLES)}.")
    found = _list_roles(storage, model, days)
    if len(found) != 1:
        raise UsageError(f"--role import: expected rows of {model!r} of one role, got {', '.join(sorted(found)) or 'none'}. Name "
                         f"the one that is meant: {', '.join(ROLES)}.")
    return found.pop()


def _list_roles(storage: Storage, model: str, days: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for entry in (e for day in days for e in list_rows(storage, layout.PREDICTIONS, day)):
        table = read_columns(storage, entry.key, ("model", "role"), required=("model",)).to_pydict()
        roles = table.get("role") or [None] * len(table["model"])
        found |= {(role or "live").lower() for name, role in zip(table["model"], roles, strict=True) if name == model}
    return found & set(ROLES)


def choose_window(storage: Storage, model: str, day: str | None, first: str | None, last: str | None) -> list[str]:
    """Lists the days that were asked for, oldest first.

    Without any it is yesterday for a model that is published here, and for another one every day there is. UsageError.
    """
    if day and (first or last):
        raise UsageError("expected a --day, or --from and --to, got both.")
    if day:
        return [clock.parse_day(day)]
    if not (first or last) and model in models(storage):
        return [clock.day_of(clock.now() - timedelta(days=1))]
    low, high = first and clock.parse_day(first), last and clock.parse_day(last)
    return [d for d in prediction_days(storage) if (not low or d >= low) and (not high or d <= high)]


def describe_days(days: list[str]) -> str:
    """Names the days that were asked for, as choose_window lists them."""
    return "any day that was asked for" if not days else days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def count_window(storage: Storage, model: str, days: Iterable[str], role: str) -> dict[str, dict[Cell, int]]:
    """Counts the model's predictions of a role: day -> cell -> how many; days without any are left out."""
    counted = {day: count_cells(storage, model, day, role) for day in days}
    return {day: cells for day, cells in counted.items() if cells}


def add_up(by_day: dict[str, dict[Cell, int]]) -> dict[Cell, int]:
    """Adds the days up, so that one table of probabilities serves them all."""
    total: Counter[Cell] = Counter()
    for cells in by_day.values():
        total.update(cells)
    return dict(total)


def require_labelable(days: Iterable[str], label_days: int) -> None:
    """UsageError: of a day so old that the service takes no labels of it any more."""
    oldest = clock.day_of(clock.now() - timedelta(days=label_days))
    if old := [day for day in days if day < oldest]:
        raise UsageError(f"{', '.join(old[:3])}: the service takes labels of predictions since {oldest} (serve.label_days: "
                         f"{label_days}), so nobody could answer. Raise that setting, or choose newer days by --from.")
