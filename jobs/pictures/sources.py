"""Which pictures a day's predictions, or a dataset's training rows, are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract import ids, layout
from contract.documents.manifest import Manifest, read_index
from contract.errors import ForeignSchema, pass_over
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Storage
from jobs.engines.question import Question
from jobs.pictures.look import Picture

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("prediction_id", "model", "role", "image_sha256", "image_uri", "width", "height", "bytes")


@dataclass(frozen=True)
class Sources:
    """Distinct pictures by their hash, the rows that name one, and those that name none."""

    pictures: list[Picture]
    predictions: int
    unnamed: int = 0


def list_of_day(storage: Storage, day: str, question: Question) -> Sources:
    """Lists the pictures of a day's predictions of the question's model and role; a file that cannot be read is named.

    Of a picture that was sent several times, the row with the smallest prediction id (its bytes) speaks.
    """
    found: dict[str, Picture] = {}
    predictions = unnamed = 0
    for entry in list_rows(storage, layout.PREDICTIONS, day):
        try:
            table = read_columns(storage, entry.key, COLUMNS, required=["model"])
        except ForeignSchema as error:
            pass_over(error)
            continue
        for row in _list_ours(table, question):
            if not ids.is_sha256(row["image_sha256"]):
                unnamed += 1
                continue
            predictions += 1
            picture = _make_picture(row)
            before = found.get(picture.sha256)
            if before is None or (picture.prediction_id or "") < (before.prediction_id or ""):
                found[picture.sha256] = picture
    return Sources([found[sha256] for sha256 in sorted(found)], predictions, unnamed)


def _list_ours(table: pa.Table, question: Question) -> list[dict[str, Any]]:
    rows = (dict.fromkeys(COLUMNS) | row for row in table.to_pylist())
    return [row for row in rows if row["model"] == question.model and question.resolve_role(row["role"]) == question.role]


def _make_picture(row: Mapping[str, Any]) -> Picture:
    named = row["prediction_id"] and str(row["prediction_id"])
    return Picture(row["image_sha256"], named, row["image_uri"], row["width"], row["height"], row["bytes"])


def list_of_dataset(storage: Storage, made: Manifest) -> Sources:
    """Lists the training pictures of a dataset, as they were stored: its own copies may be shrunk."""
    table = read_index(storage, made, ("image_sha256", "prediction_id", "image_uri", "width", "height", "bytes", "split"))
    rows = [row for row in table.to_pylist() if row["split"] == "train"]
    pictures = {row["image_sha256"]: _make_picture(row) for row in rows}
    return Sources([pictures[sha256] for sha256 in sorted(pictures)], len(rows))
