"""Gold items: predictions whose class is known, put among what people are asked, to measure them (docs/design.md#gold-items).

What is said of one prediction is a sequence of documents: its answer, that this was taken back, an answer again. The newest
holds. So no document is ever changed, and of two people who say different things at once one is told.
"""

from typing import Literal

from pydantic import Field

from contract import clock, ids, layout
from contract.documents.document import Document
from contract.errors import AlreadyExists, DamagedDocument, NotFound
from contract.sequence import NumberedDocuments
from contract.stores.store import Storage

STRATEGY = "gold"  # of the label rows that answer a gold item


class GoldAnswer(Document):
    """`samples/<model>/gold/known/<prediction id>/<n>.json`: what the picture of a live prediction is known to show."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    prediction_id: str
    label: str | None  # the known class; null: the answer before was taken back
    predicted: str
    bin: int | None  # of the confidence, 0 to 19; null without one
    image_sha256: str
    at: str
    by: str
    reason: str = ""


def read_gold(storage: Storage, model: str, seen: dict[str, GoldAnswer] | None = None,
              unreadable: list[str] | None = None) -> dict[str, GoldAnswer]:
    """Reads the answers that hold, by prediction id in their order. `seen` keeps documents by key from call to call.

    `unreadable` says what becomes of a gold item whose newest document is damaged: None raises DamagedDocument, a list is told,
    and the other items go on.
    """
    seen = {} if seen is None else seen
    newest: dict[str, tuple[int, str]] = {}
    for entry in storage.list(layout.gold(model, "known")):
        folder, number = entry.key.rpartition("/")[0], layout.document_name(entry.key)
        if number.isdecimal():  # what else lies there was put by nobody of ours
            newest[folder] = max(newest.get(folder, (0, "")), (int(number), entry.key))
    for _, key in newest.values():
        try:
            seen[key] = seen.get(key) or GoldAnswer.load(storage, key)
        except DamagedDocument as error:
            if unreadable is None:
                raise
            unreadable.append(str(error))
    answers = (seen[key] for _, (_, key) in sorted(newest.items()) if key in seen)
    return {answer.prediction_id: answer for answer in answers if answer.label is not None}


def refuse_another(there: GoldAnswer | None, label: str) -> None:
    """Raises AlreadyExists where another answer holds than `label`, and says how to take that one back."""
    if there is not None and there.label not in (None, label):
        raise AlreadyExists(f"prediction {there.prediction_id}: expected its known answer, {there.label!r} (by {there.by}, "
                            f"{there.at}), got {label!r}. If {label!r} is right, take the other back first: trueup review "
                            f"gold remove --model {there.model} --prediction {there.prediction_id}.")


def add_gold(storage: Storage, answer: GoldAnswer) -> bool:
    """Writes an answer; returns whether it is new. AlreadyExists: another answer holds."""
    while True:
        n, there = _read_newest(storage, answer.model, answer.prediction_id)
        refuse_another(there, answer.label or "")
        if there is not None and there.label == answer.label:
            return False
        if _append(storage, answer, n):
            return True


def take_back(storage: Storage, model: str, prediction_id: str, by: str, reason: str = "") -> GoldAnswer:
    """Ends a gold item and returns the answer that it had. NotFound: it is none (any more)."""
    while True:
        n, there = _read_newest(storage, model, prediction_id)
        if there is None or there.label is None:
            since = f": taken back by {there.by}, {there.at}" if there else ""
            raise NotFound(f"expected a gold item of {model!r}, got the prediction {prediction_id!r}, which is none{since}. "
                           f"`trueup review gold list --model {model}` shows those that there are.")
        end = there.model_copy(update={"label": None, "at": clock.iso(clock.now()), "by": by, "reason": reason})
        if _append(storage, end, n):
            return there


def _read_newest(storage: Storage, model: str, prediction_id: str) -> tuple[int, GoldAnswer | None]:
    if not ids.is_uuid7(prediction_id):  # no part of a key, and no gold item
        return 0, None
    sequence = _answers(storage, model, prediction_id)
    newest = sequence.newest()
    return (newest[0], GoldAnswer.parse(newest[1], storage.uri(sequence.key(newest[0])))) if newest else (0, None)


def _append(storage: Storage, answer: GoldAnswer, after: int) -> bool:
    """Creates the next document of a gold item; False when somebody else did, which must be read first."""
    try:
        _answers(storage, answer.model, answer.prediction_id).append(answer.to_dict(), after)
    except AlreadyExists:
        return False
    return True


def _answers(storage: Storage, model: str, prediction_id: str) -> NumberedDocuments:
    return NumberedDocuments(storage, layout.gold(model, "known", prediction_id, "{}"))
