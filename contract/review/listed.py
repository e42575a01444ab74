"""Predictions that were listed and sent to review: asked beside the day's samples, never as part of one.

What was chosen by a person or a program says nothing of what was not. So the answers have the name of what chose them as
their strategy, no selection probability, and the origin class feedback, which has no say where there is any other: no
estimate that rests on an audit, a review sample or imported labels moves (docs/decisions/0020-pictures.md).

A list is asked on the page of reviews, where the model's answer is shown, or blind on the page of audits. A blind list is
a population of its own, so that its answers stand for none of the audit's sample of the same day.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field

from contract import clock, layout
from contract.confidence import confidence_bin
from contract.documents.document import Document
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.rows.reading import rows_where
from contract.sequence import NumberedDocuments
from contract.stores.store import Storage

ORIGIN = "feedback"  # of the answers
PICKED, DIVERSE, SUSPECTS = "picked", "diverse", "suspects"  # strategies: by a person, for training, for doubtful labels
STRATEGIES = (PICKED, DIVERSE, SUSPECTS)
POPULATION = {False: "live", True: "listed"}  # blind or not -> of the queue that asks (contract.layout.samples)
KIND = {False: "review", True: "audit"}  # blind or not -> of the page that asks


class ListedItem(Document):
    """A prediction that was listed; `bin` of its confidence (0 to 19), null without one."""

    day: str
    prediction_id: str
    predicted: str
    bin: int | None
    image_sha256: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Makes one of a row with day, prediction_id, predicted, confidence and image_sha256."""
        return cls(day=row["day"], prediction_id=row["prediction_id"], predicted=row["predicted"],
                   bin=confidence_bin(row["confidence"]), image_sha256=row["image_sha256"])


class Listed(Document):
    """`samples/<model>/dt=<day>/picked/<n>.json`: what was listed at one time, by whom and by which strategy."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    by: str
    at: str
    strategy: str = PICKED
    items: list[ListedItem]


def send(storage: Storage, model: str, strategy: str, by: str, items: Sequence[ListedItem], blind: bool = False) -> int:
    """Sends predictions to review, each once whatever its strategy; returns how many of them were not sent before.

    Killed and repeated it sends the rest: a document of a day is written whole.
    """
    new = 0
    for day in dict.fromkeys(item.day for item in items):
        there = read(storage, model, day, blind)
        mine = {item.prediction_id: item for item in items if item.day == day and item.prediction_id not in there}
        if mine:
            document = Listed(by=by, at=clock.iso(clock.now()), strategy=strategy, items=list(mine.values()))
            NumberedDocuments(storage, layout.picked(model, day, POPULATION[blind])).add(document.to_dict())
        new += len(mine)
    return new


def read(storage: Storage, model: str, day: str, blind: bool = False) -> dict[str, tuple[str, ListedItem]]:
    """Reads what was listed of a day, in that order: prediction id -> the strategy that listed it first, and the item.

    A document that cannot be read is passed over.
    """
    found: dict[str, tuple[str, ListedItem]] = {}
    for entry in storage.list(layout.picked_folder(model, day, POPULATION[blind])):
        try:
            document = Listed.load(storage, entry.key)
        except (DamagedDocument, NotFound) as error:
            pass_over(error)
            continue
        for item in document.items:
            found.setdefault(item.prediction_id, (document.strategy, item))
    return found


def read_asked(storage: Storage, day: str) -> set[tuple[str, str, int]]:
    """Reads which answers of a day were asked for by a list: (prediction id, labeler, us since 1970 of the label).

    They are no feedback of users: what a list asks about may follow from an audit's labels, so it would tell more of audited
    predictions than of others. A file that cannot be read is passed over.
    """
    rows = rows_where(storage, layout.LABELS, day, "strategy", STRATEGIES,
                      ("prediction_id", "labeler", "labeled_at", "origin"), unreadable=[])
    return {(row["prediction_id"], row["labeler"] or "", clock.to_us(row["labeled_at"])) for _, row in rows
            if row["prediction_id"] and row["labeled_at"] is not None and row["origin"] == ORIGIN}


def find_answered_blind(storage: Storage, day: str) -> set[str]:
    """Finds the predictions of a day that somebody judged blind because a list asked, and did not take it back.

    An answer on the page of reviews is none: it leaves the blind question open. A file that cannot be read is passed over.
    """
    columns = ("prediction_id", "label_id", "labeler", "labeled_at", "origin", "saw_prediction", "withdraws")
    rows = [row for _, row in rows_where(storage, layout.LABELS, day, "strategy", STRATEGIES, columns, unreadable=[])
            if row["prediction_id"] and row["labeled_at"] is not None and row["origin"] == ORIGIN]
    newest: dict[tuple[str, str], bool] = {}  # of each person, whether the newest blind word holds
    for row in sorted(rows, key=lambda row: (clock.to_us(row["labeled_at"]), row["label_id"] or "")):
        if row["saw_prediction"] is False:
            newest[row["prediction_id"], row["labeler"] or ""] = not row["withdraws"]
    return {name for (name, _), holds in newest.items() if holds}


def is_any(storage: Storage, model: str, day: str, kind: str, population: str) -> bool:
    """Says whether anything was listed of a day that a queue of this kind and population asks about."""
    blind = kind == KIND[True]
    return (KIND[blind], POPULATION[blind]) == (kind, population) and \
        any(storage.list(layout.picked_folder(model, day, population)))
