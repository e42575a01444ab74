"""The labels of predictions, day by day: the consensus of people, else the model's answer where it is accepted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract.counts import UNNAMED
from contract.stores.store import Storage
from jobs.datasets.consensus import IMAGE_COLUMNS, find_labelled_here
from jobs.engines import day_files
from jobs.engines.distinct import read_distinct
from jobs.engines.question import Question

PEOPLE = "people"
COLUMNS = ("day", "prediction_id", "label", "labelled_by", "predicted_label", "confidence", "model_version", "image_sha256",
           "image_uri", "source_uri")
OF_ROW = tuple(name for name in COLUMNS if name not in ("day", "label", "labelled_by"))
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
    for row in read_distinct(storage, day, question, ("source_uri",)).to_pylist():
        label, by = said.get(row["prediction_id"]), PEOPLE
        if label == UNNAMED:
            taken.to_name += 1
            continue
        if label is None:
            if not _accepts(thresholds.get(row["predicted_label"]), row["confidence"]):
                taken.unlabelled += 1
                continue
            label, by = row["predicted_label"], f"model:{row['model']}"
        taken.by_people += by == PEOPLE
        taken.by_model += by != PEOPLE
        taken.classes.add(label)
        yield {"day": day, "label": label, "labelled_by": by} | {name: row[name] for name in OF_ROW}


def _accepts(threshold: float | None, confidence: float | None) -> bool:
    return threshold is not None and confidence is not None and threshold <= confidence <= 1


def _read_people(storage: Storage, question: Question, day: str) -> dict[str, str]:
    """Reads the consensus of people: prediction id -> label, `≠` where no class was named."""
    (files,), _ = day_files.read_footers(storage, [day_files.list_day(storage, day)], IMAGE_COLUMNS)
    return {row["prediction_id"]: row["label"] for row in find_labelled_here(storage, files, question) if row["label"]}

