"""Which predictions the root holds under an id: one that is no UUIDv7 may recur, by day, model and version."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from contract import clock, layout
from contract.counts import UNNAMED
from contract.days import prediction_days
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns, rows_where
from contract.stores.store import Storage
from jobs.engines.rules import sort_key

COLUMNS = ("prediction_id", "predicted_at", "model", "model_version", "predicted_label", "confidence", "role")


class Predicted(NamedTuple):
    """A prediction of the root, as far as placing needs it. `at`: microseconds since 1970."""

    key: str
    day: str
    at: int
    model: str
    version: str
    label: str
    confidence: float | None
    role: str

    @property
    def order(self) -> tuple[Any, ...]:
        """Of the predictions of an id on a day, the least is the one that counts (rule 2)."""
        return self.at, self.version, self.label, sort_key(self.confidence)


def name_version(prediction_id: str, model: str, version: str) -> str:
    """The id of one version's prediction where versions share ids (`--id-per-version`)."""
    return f"{prediction_id}@{model}@{version}"


def find_predictions(storage: Storage, ids: Collection[str], days: Iterable[str] | None = None,
                     per_version: bool = False, unreadable: list[str] | None = None) -> dict[str, list[Predicted]]:
    """Maps each of the ids that the root has to its predictions, of all models and roles, oldest day first.

    `per_version`: the ids may be those before `name_version`, too. `unreadable`: as for `contract.rows.reading.rows_where`.
    """
    days = prediction_days(storage) if days is None else sorted(days)
    asked = {i: i for i in ids}
    if per_version and ids:
        asked |= {name_version(i, *pair): i for pair in _versions(storage, days) for i in ids}
    found = defaultdict(list)
    for day in days if asked else ():
        for _, row in rows_where(storage, layout.PREDICTIONS, day, "prediction_id", asked, COLUMNS, unreadable=unreadable):
            made = make_predicted(row, day)
            if made:
                found[asked[made.key]].append(made)
    return dict(found)


def make_predicted(row: dict[str, Any], day: str) -> Predicted | None:
    """A row as Predicted; None for one that never counts, for it lacks a time, a model, a version or a label (rule 2)."""
    at = row["predicted_at"]
    if not isinstance(at, datetime) or any(row[n] in (None, "", UNNAMED) for n in ("model", "model_version", "predicted_label")):
        return None
    role = str(row["role"] or "live").lower()
    return Predicted(str(row["prediction_id"]), day, clock.to_us(at), str(row["model"]), str(row["model_version"]),
                     str(row["predicted_label"]), row["confidence"], role)


def _versions(storage: Storage, days: Iterable[str]) -> set[tuple[str, str]]:
    """Every model with each of its versions that has a row on one of these days."""
    found: set[tuple[str, str]] = set()
    for entry in (e for day in days for e in list_rows(storage, layout.PREDICTIONS, day)):
        table = read_columns(storage, entry.key, ("model", "model_version"), required=("model", "model_version"))
        pairs = set(zip(table["model"].to_pylist(), table["model_version"].to_pylist(), strict=True))
        found |= {(str(model), str(version)) for model, version in pairs}
    return found
