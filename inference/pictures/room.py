"""What the pages of `/pictures` share: search, details, thumbnails, similar pictures, and who joins labels meanwhile."""

from __future__ import annotations

from typing import Any

from contract import clock
from contract.counts import UNNAMED
from contract.errors import NotFound
from contract.settings import Settings
from contract.stores.store import Storage
from inference.pictures.detail import Details
from inference.pictures.joining import Joiner
from inference.pictures.labels import DayLabels
from inference.pictures.matching import number_of
from inference.pictures.question import Place, Question
from inference.pictures.search import Found, Search
from inference.pictures.similar import Similar
from inference.pictures.suspected import Suspected
from inference.pictures.thumbnails import Thumbnails

SUGGESTED = 200  # words of a kind that a form suggests
ATTRIBUTES_OF = 500  # newest rows whose attributes a form offers
MOST_ATTRIBUTES = 6


class Room:
    """The pictures of one root."""

    def __init__(self, storage: Storage, settings: Settings) -> None:
        self.storage = storage
        self.search = Search(storage, settings)
        self.details = Details(storage)
        self.joiner = Joiner(storage.root)
        self.thumbnails = Thumbnails(storage, settings.serve.max_pixels)
        self.similar = Similar(storage, self.search, settings.serve.max_pixels)
        self.suspected = Suspected(storage, settings)

    def find(self, question: Question, wanted: int, hides_audits: bool) -> Found:
        """Finds a page of rows, and has labels joined that are missing for it."""
        found = self.search.find(question, wanted, hides_audits)
        self.ask_to_join(question, found)
        return found

    def ask_to_join(self, question: Question, found: Found) -> None:
        """Has the labels joined that a look missed."""
        if found.unjoined:
            self.joiner.ask(question.model, found.unjoined)

    def judge(self, row: dict[str, Any]) -> dict[str, Any]:
        """Adds what a page says of a row: `label`, `verdict` (right, wrong, unlabelled, joining), `unnamed` and `erased`."""
        item = row["item"]
        label = item["label"] if item else None
        verdict = ("right" if label == row["predicted"] else "wrong") if item else "unlabelled" if row["joined"] else "joining"
        erased = row["image_sha256"] in self.search.list_erased()
        return row | {"label": None if label == UNNAMED else label, "verdict": verdict, "erased": erased,
                      "unnamed": label == UNNAMED}

    def describe(self, question: Question, day: str, prediction_id: str, hides_audits: bool) -> dict[str, Any]:
        """Describes one prediction with its neighbours in the question's order. NotFound: the model has no such row there."""
        row = self.details.read_row(question.model, day, prediction_id)
        if row is None:
            raise NotFound(f"{question.model} has no prediction {prediction_id} on {day}.")
        labels = self.search.read_labels(question.model, day)
        item = find_item(labels, prediction_id)
        short = {"day": day, "prediction_id": prediction_id, "predicted": row["predicted_label"], "item": item,
                 "confidence": row["confidence"], "image_sha256": row["image_sha256"], "joined": labels.table is not None}
        if hides_audits and self.search.audits.is_open(question.model, day, short):
            return {"hidden": True}
        if not labels.fresh:
            self.joiner.ask(question.model, [day])
        place = self._place(question, row, day)
        before = self.search.find(question.turned(place), 1, hides_audits)
        after = self.search.find(question.moved(place), 1, hides_audits)
        return {"hidden": False, "row": row, **self.judge(short), "votes": item["votes"] if item else [],
                "labels": self.details.read_labels(day, prediction_id), "fresh": labels.fresh,
                "previous": before.rows[0] if before.rows else None, "next": after.rows[0] if after.rows else None,
                **self.details.describe_lineage(question.model, row)}

    def _place(self, question: Question, row: dict[str, Any], day: str) -> Place:
        """Finds where a row stands, as the search has it."""
        if not question.by_time:
            number = row["confidence"] if row["confidence"] is not None else 0.0
        elif question.wants_label:
            number = number_of(row["prediction_id"])
        else:
            number = clock.to_us(row["predicted_at"])
        return Place(day, float(number), row["prediction_id"])

    def suggest(self, question: Question) -> dict[str, list[str]]:
        """Lists words for the form: versions, classes and attributes of the newest day that is read already."""
        days = self.search.list_days(Question(question.model))
        if not days or not self.search.kept.is_kept(days[0]):
            return {"versions": [], "classes": [], "attributes": sorted(question.attributes)}
        table = self.search.kept.read(days[0])
        words = {name: sorted({w for chunk in table[column].chunks for w in chunk.dictionary.to_pylist()})[:SUGGESTED]
                 for name, column in (("versions", "model_version"), ("classes", "predicted_label"))}
        newest = table["attributes"].slice(max(len(table) - ATTRIBUTES_OF, 0)).to_pylist()
        names = sorted({name for row in newest for name, _ in row or ()})[:MOST_ATTRIBUTES]
        return words | {"attributes": sorted({*names, *question.attributes})}


def find_item(labels: DayLabels, prediction_id: str) -> dict[str, Any] | None:
    """Finds the item of a prediction; None when nobody labelled it, or it is not joined yet."""
    import pyarrow.compute as pc

    if labels.table is None or not len(labels.table):
        return None
    at = pc.index(labels.table["prediction_id"], prediction_id).as_py()
    return labels.table.slice(at, 1).to_pylist()[0] if at >= 0 else None
