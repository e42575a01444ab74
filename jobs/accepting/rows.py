"""The labels of predictions, day by day: the consensus of people, else the model's answer where it is accepted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract import clock, ids, layout
from contract.counts import UNNAMED
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Storage
from jobs.datasets.consensus import IMAGE_COLUMNS, find_labelled_here
from jobs.engines import day_files
from jobs.engines.question import Question
from jobs.imports.placing.predicted import Predicted, make_predicted

PEOPLE = "people"
NEEDED = ("prediction_id", "predicted_at", "model", "model_version", "predicted_label")
SHOWN = ("confidence", "role", "recorded_at", "image_sha256", "image_uri", "source_uri")
COLUMNS = ("day", "prediction_id", "label", "labelled_by", "predicted_label", "confidence", "model_version", "image_sha256",
           "image_uri", "source_uri")
Row = dict[str, Any]


@dataclass
class Taken:
    """How many predictions are labelled by people and by the model, and how many have no label yet.

    `to_name`: people called the answer wrong, and nobody named the class.
    """

    by_people: int = 0
    by_model: int = 0
    unlabelled: int = 0
    to_name: int = 0
    classes: set[str] = field(default_factory=set)


def find_labels(storage: Storage, question: Question, day: str, thresholds: Mapping[str, float | None],
                taken: Taken) -> Iterator[Row]:
    """Yields COLUMNS of each prediction of a day that has a label now; `taken` counts. ForeignSchema."""
    said = _read_people(storage, question, day)
    for prediction, row in _read_predictions(storage, question, day):
        label, by = said.get(prediction.key), PEOPLE
        if label == UNNAMED:
            taken.to_name += 1
            continue
        if label is None:
            if not _accepts(thresholds.get(prediction.label), prediction.confidence):
                taken.unlabelled += 1
                continue
            label, by = prediction.label, f"model:{prediction.model}"
        taken.by_people += by == PEOPLE
        taken.by_model += by != PEOPLE
        taken.classes.add(label)
        yield {"day": day, "prediction_id": prediction.key, "label": label, "labelled_by": by,
               "predicted_label": prediction.label, "confidence": prediction.confidence, "model_version": prediction.version,
               **{name: row[name] for name in ("image_sha256", "image_uri", "source_uri")}}


def _accepts(threshold: float | None, confidence: float | None) -> bool:
    return threshold is not None and confidence is not None and threshold <= confidence <= 1


def _read_people(storage: Storage, question: Question, day: str) -> dict[str, str]:
    """Reads the consensus of people: prediction id -> label, `≠` where no class was named."""
    (files,), _ = day_files.read_footers(storage, [day_files.list_day(storage, day)], IMAGE_COLUMNS)
    return {row["prediction_id"]: row["label"] for row in find_labelled_here(storage, files, question) if row["label"]}


def _read_predictions(storage: Storage, question: Question, day: str) -> Iterator[tuple[Predicted, Row]]:
    """The distinct predictions of the model and role that were known, by id (rule 2 of docs/design.md)."""
    best: dict[str, tuple[Predicted, Row]] = {}
    for entry in list_rows(storage, layout.PREDICTIONS, day):
        for raw in read_columns(storage, entry.key, (*NEEDED, *SHOWN), NEEDED).to_pylist():
            row = dict.fromkeys((*NEEDED, *SHOWN)) | raw
            found = make_predicted(row, day) if row["prediction_id"] else None
            if found is None or question.resolve_role(row["role"]) != question.role or not _is_known(row, question):
                continue
            before = best.get(found.key)
            if ids.may_lie_in(day, found.key) and (before is None or found.order < before[0].order):
                best[found.key] = found, row
    for key in sorted(best):
        if best[key][0].model == question.model:
            yield best[key]


def _is_known(row: Row, question: Question) -> bool:
    """Says whether a row was known at the moment of the question."""
    times = [row["predicted_at"], *([row["recorded_at"]] if row["recorded_at"] is not None else [])]
    return max(map(clock.to_us, times)) <= question.as_of
