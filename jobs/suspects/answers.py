"""Logged answers to a dataset's pictures, of versions that did not train on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from contract import clock, layout
from contract.counts import rank_role
from contract.rows.reading import rows_where
from contract.stores.store import Storage
from jobs.suspects.trained import Training

Row = dict[str, Any]
COLUMNS = ("prediction_id", "predicted_at", "model", "model_version", "predicted_label", "confidence", "role", "top_labels",
           "top_probabilities", "image_sha256")


class Answer(NamedTuple):
    """What a version said of a picture: label -> probability, of its likeliest classes or of all."""

    version: str
    probabilities: Mapping[str, float]


class Logged(NamedTuple):
    """What the log says of a dataset's pictures, by their hashes."""

    answers: dict[str, Answer]
    appeared: dict[str, int]  # us of the prediction that the dataset has the label of
    live: dict[str, Row]  # the row that was answered with, for a page that asks about the prediction


def read_logged(storage: Storage, model: str, rows: Sequence[Row], trainings: Mapping[str, Training]) -> Logged:
    """Reads the answers to the predictions that an index names; of several clean versions that of the newest.

    Rows of another model, or of another picture than the index says, are left out. Files that cannot be read are passed over:
    their pictures are judged by other means.
    """
    found = Logged({}, {}, {})
    for logged in _read(storage, model, rows):
        sha256, at = logged["image_sha256"], clock.to_us(logged["predicted_at"])
        found.appeared[sha256] = min(at, found.appeared.get(sha256, at))
        known = found.live.get(sha256)
        if known is None or rank_role(logged["role"]) < rank_role(known["role"]):
            found.live[sha256] = logged
    for logged in _read(storage, model, rows):
        _keep_if_clean(found, logged, trainings)
    return found


def _read(storage: Storage, model: str, rows: Sequence[Row]) -> Iterator[Row]:
    by_day: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        if row["prediction_id"] is not None:
            by_day[row["day"]][row["prediction_id"]] = row["image_sha256"]
    for day, named in sorted(by_day.items()):
        for _, logged in rows_where(storage, layout.PREDICTIONS, day, "prediction_id", named, COLUMNS, unreadable=[]):
            if logged["model"] == model and logged["predicted_at"] is not None and (
                    logged["image_sha256"] == named[logged["prediction_id"]]):
                yield logged | {"day": day, "model_version": str(logged["model_version"])}


def _keep_if_clean(found: Logged, logged: Row, trainings: Mapping[str, Training]) -> None:
    sha256, version = logged["image_sha256"], logged["model_version"]
    training, there = trainings.get(version), found.answers.get(sha256)
    if training is None or not training.is_clean(sha256, found.appeared[sha256]):
        return
    said = _collect(logged)
    if said and (there is None or int(there.version) < int(version)):  # a row without probabilities says nothing of the label
        found.answers[sha256] = Answer(version, said)


def _collect(logged: Row) -> dict[str, float]:
    """Collects label -> probability of a row; of one without a list only that of its first answer."""
    labels, probabilities = logged["top_labels"] or [], logged["top_probabilities"] or []
    if labels and len(labels) == len(probabilities):
        pairs = zip(labels, probabilities, strict=True)
        return {label: float(p) for label, p in pairs if label and p is not None and 0 <= p <= 1}
    confidence = logged["confidence"]
    known = logged["predicted_label"] and confidence is not None and 0 <= confidence <= 1
    return {logged["predicted_label"]: float(confidence)} if known else {}
