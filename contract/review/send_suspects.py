"""Sends suspects to people, who judge each blind: neither the label in doubt nor the model's answer is shown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from contract import clock, layout
from contract.review import listed
from contract.review.listed import SUSPECTS, ListedItem
from contract.review.suspects import Suspect
from contract.rows.items import list_erased
from contract.rows.reading import rows_where
from contract.stores.store import Storage

COLUMNS = ("prediction_id", "model", "predicted_label", "confidence", "image_sha256", "role")


class Sent(NamedTuple):
    """How many were sent that were not before, how many wait or were answered already, and why others cannot be asked."""

    new: int
    before: int
    left_out: Mapping[str, int]


def send(storage: Storage, model: str, suspects: Sequence[Suspect], label_days: int, by: str, most: int | None = None) -> Sent:
    """Sends suspects to `/audit?of=listed`; repeated it sends nothing twice.

    `label_days`: age of a prediction at which the service refuses labels, so that nobody could answer. `most`: of those that
    people can be asked about, the first so many; who cannot be asked about takes none of their places.
    """
    oldest = clock.day_of(clock.now() - timedelta(days=label_days))
    left_out: Counter[str] = Counter()
    items, erased = list[ListedItem](), list_erased(storage)
    rows = _Rows(storage, model, suspects)
    for one in suspects:
        if len(items) == most:
            break
        if one.prediction_id is None:
            left_out["imported with its folder: no prediction to ask about"] += 1
        elif one.day < oldest:
            left_out["older than serve.label_days"] += 1
        elif one.image_sha256 in erased or not any(storage.list(layout.image(one.image_sha256, ""))):
            left_out["its picture is gone"] += 1
        elif (row := rows.find(one)) is None:
            left_out["its prediction is gone"] += 1
        else:
            items.append(ListedItem.of(row | {"day": one.day, "predicted": row["predicted_label"]}))
    new = listed.send(storage, model, SUSPECTS, by, items, blind=True)
    return Sent(new, len(items) - new, dict(sorted(left_out.items())))


class _Rows:
    """The prediction rows of suspects. A day is read when the first of its suspects is asked for."""

    def __init__(self, storage: Storage, model: str, suspects: Sequence[Suspect]) -> None:
        self._storage, self._model = storage, model
        self._shas: dict[str, dict[str, str]] = defaultdict(dict)  # day -> prediction id -> its picture
        for one in suspects:
            if one.prediction_id is not None:
                self._shas[one.day][one.prediction_id] = one.image_sha256
        self._of: dict[str, dict[str, dict[str, Any]]] = {}

    def find(self, one: Suspect) -> dict[str, Any] | None:
        """Finds the row of that prediction and picture, the live one where there are several."""
        if one.day not in self._of:
            self._of[one.day] = self._read_day(one.day)
        return self._of[one.day].get(one.prediction_id or "")

    def _read_day(self, day: str) -> dict[str, dict[str, Any]]:
        shas, found = self._shas[day], dict[str, dict[str, Any]]()
        for _, row in rows_where(self._storage, layout.PREDICTIONS, day, "prediction_id", shas, COLUMNS, unreadable=[]):
            name = row["prediction_id"]
            is_it = row["model"] == self._model and row["image_sha256"] == shas[name] and row["predicted_label"]
            if is_it and (name not in found or (row["role"] or "live").lower() == "live"):
                found[name] = row
        return found
