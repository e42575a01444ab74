"""Sends suspects to people, who judge each blind: neither the label in doubt nor the model's answer is shown."""

from __future__ import annotations

from collections import Counter
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


def send(storage: Storage, model: str, suspects: Sequence[Suspect], label_days: int, by: str) -> Sent:
    """Sends suspects to `/audit?of=listed`; repeated it sends nothing twice.

    `label_days`: age of a prediction at which the service refuses labels, so that nobody could answer.
    """
    oldest = clock.day_of(clock.now() - timedelta(days=label_days))
    left_out: Counter[str] = Counter()
    items, erased = [], list_erased(storage)
    rows = _read_rows(storage, model, suspects)
    for one in suspects:
        row = rows.get((one.day, one.prediction_id))
        if one.prediction_id is None:
            left_out["imported with its folder: no prediction to ask about"] += 1
        elif one.day < oldest:
            left_out["older than serve.label_days"] += 1
        elif one.image_sha256 in erased or not any(storage.list(layout.image(one.image_sha256, ""))):
            left_out["its picture is gone"] += 1
        elif row is None:
            left_out["its prediction is gone"] += 1
        else:
            items.append(ListedItem.of(row | {"day": one.day, "predicted": row["predicted_label"]}))
    new = listed.send(storage, model, SUSPECTS, by, items, blind=True)
    return Sent(new, len(items) - new, dict(sorted(left_out.items())))


def _read_rows(storage: Storage, model: str, suspects: Sequence[Suspect]) -> dict[tuple[str, str | None], dict[str, Any]]:
    """Reads the prediction rows of suspects: (day, prediction id) -> the row of that picture."""
    shas = {(one.day, one.prediction_id): one.image_sha256 for one in suspects if one.prediction_id is not None}
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for day in sorted({day for day, _ in shas}):
        ids = [str(name) for of, name in shas if of == day]
        for _, row in rows_where(storage, layout.PREDICTIONS, day, "prediction_id", ids, COLUMNS, unreadable=[]):
            place = day, row["prediction_id"]
            is_it = row["model"] == model and row["image_sha256"] == shas[place] and row["predicted_label"]
            if is_it and (place not in found or (row["role"] or "live").lower() == "live"):
                found[place] = row
    return found
