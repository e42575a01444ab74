"""The measures of a day's pictures, or of a dataset's: stored ones are taken, missing ones are made.

A day whose files changed is measured again, but only its new pictures are read: the measures of a picture in earlier documents
stay valid, as its name is the hash of its bytes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract import layout
from contract.documents import expiry
from contract.documents.manifest import Manifest
from contract.measured.document import (
    Measured,
    count_values,
    find_measured,
    list_measured,
    name_inputs,
    read_pictures,
    write_measured,
)
from contract.rows.items import list_erased
from contract.rows.listing import DayListing, fingerprint, list_day
from contract.stores.store import Storage
from jobs.engines.question import Question
from jobs.pictures.look import ERASED, MISSING, Picture, Row, make_erased_row, measure_here, measure_on_spark
from jobs.pictures.sources import Sources, list_of_dataset, list_of_day

EXPIRED = "image expired"


@dataclass(frozen=True)
class Measuring:
    """Whose pictures are measured, and where: in this process, or on Spark with these settings of the session."""

    question: Question
    on_spark: bool = False
    spark_conf: Mapping[str, str] = field(default_factory=dict)

    def measure(self, storage: Storage, pictures: Sequence[Picture], what: str) -> list[Row]:
        """Measures pictures; the rows in their order."""
        if self.on_spark:
            return measure_on_spark(storage, pictures, dict(self.spark_conf))
        return measure_here(storage, pictures, what) if pictures else []


@dataclass(frozen=True)
class Made:
    """Measures, and how many pictures were read for them now."""

    document: Measured
    read: int


def measure_day(storage: Storage, day: str, asked: Measuring) -> Made | None:
    """The measures of a day's pictures; None for a day whose rows expired before they were measured."""
    question, listing = asked.question, list_day(storage, day)
    files = _name_files(listing)
    inputs = name_inputs({"model": question.model, "role": question.role, "roles": dict(question.roles), "files": files})
    folder = layout.measures(question.model, day=day)
    if found := find_measured(storage, folder, inputs):
        return Made(found, 0)
    if listing.expired:
        return None
    sources = list_of_day(storage, day, question)
    rows, read = _measure(storage, sources, asked, day, _find_known(storage, folder, sources.pictures))
    if expiry.find_pictures(storage, day):
        rows = [row | {"reason": EXPIRED} if row["reason"] == MISSING else row for row in rows]
    document = _describe(asked, sources, rows, inputs).model_copy(update={"day": day, "role": question.role, "files": files})
    return Made(write_measured(storage, document, rows), read)


def list_files(storage: Storage, day: str) -> tuple[list[list[str]], bool]:
    """The names of a day's files of predictions, and whether its rows expired."""
    listing = list_day(storage, day)
    return _name_files(listing), listing.expired is not None


def _name_files(listing: DayListing) -> list[list[str]]:
    """The names of the day's files of predictions: labels that come later change no picture."""
    if listing.expired:
        return [file for file in listing.expired.files if file[0].startswith(layout.table_folder(layout.PREDICTIONS))]
    return fingerprint(listing.predictions)


def measure_dataset(storage: Storage, made: Manifest, asked: Measuring) -> Made:
    """The measures of a dataset's training pictures. NotFound or Mismatch: its index is gone or damaged."""
    inputs = name_inputs({"dataset": made.dataset, "index": made.index.sha256})
    folder = layout.measures(asked.question.model, dataset=made.dataset)
    if found := find_measured(storage, folder, inputs):
        return Made(found, 0)
    sources = list_of_dataset(storage, made)
    rows, read = _measure(storage, sources, asked, f"dataset {made.dataset}", {})
    document = _describe(asked, sources, rows, inputs).model_copy(update={"dataset": made.dataset})
    return Made(write_measured(storage, document, None), read)


def _measure(storage: Storage, sources: Sources, asked: Measuring, what: str,
             known: Mapping[str, Row]) -> tuple[list[Row], int]:
    """The rows of all pictures by their hash, and how many were read: not those that are known or were erased."""
    erased = list_erased(storage)
    new = [picture for picture in sources.pictures if picture.sha256 not in known and picture.sha256 not in erased]
    made = {row["image_sha256"]: row for row in asked.measure(storage, new, what)}
    rows = [make_erased_row(picture) if picture.sha256 in erased else
            (known.get(picture.sha256) or made[picture.sha256]) | {"prediction_id": picture.prediction_id}
            for picture in sources.pictures]
    return rows, len(new)


def _find_known(storage: Storage, folder: str, pictures: Sequence[Picture]) -> dict[str, Row]:
    """What earlier documents of the day have of its pictures, of those that could be read."""
    wanted = {picture.sha256 for picture in pictures}
    found: dict[str, Row] = {}
    for document in sorted(list_measured(storage, folder), key=lambda one: one.pictures, reverse=True):
        rows: list[dict[str, Any]] = read_pictures(storage, document).to_pylist() if wanted - found.keys() else []
        found |= {row["image_sha256"]: row for row in rows
                  if row["reason"] is None and row["image_sha256"] in wanted and row["image_sha256"] not in found}
    return found


def _describe(asked: Measuring, sources: Sources, rows: Sequence[Row], inputs: str) -> Measured:
    missing = Counter(row["reason"] for row in rows if row["reason"])
    counted = [row for row in rows if row["reason"] != ERASED]
    return Measured(model=asked.question.model, inputs=inputs, predictions=sources.predictions, unnamed=sources.unnamed,
                    pictures=len(rows), missing=dict(sorted(missing.items())), histograms=count_values(counted))
