"""The documents of the review queue: who was given which items, and what they answered (see inference/labelling/queue.py)."""

from __future__ import annotations

from pydantic import Field

from contract.documents.document import Document


class BatchHolder(Document):
    """Who holds a batch: the key, the name under which the labels are kept, and (without keys) the browser."""

    actor: str
    labeler: str
    visitor: str = ""


class BatchItem(Document):
    """An item as it was handed out; `p` is None for a second opinion, a gold item and a repeat, which are never weighted."""

    prediction_id: str  # of a gold item and of a repeat an id that was made up
    image: str | None = None
    p: float | None = None
    gold: str | None = None  # the prediction that is meant, of a gold item
    repeat: str | None = None  # the prediction that is meant, of a blind repeat
    bin: int | None = None  # of the model's confidence, for the review page


class Batch(Document):
    """`batch-<n>.json`: immutable; its answers say whether it is done."""

    schema_: str = Field(default="1", alias="schema")
    holder: BatchHolder
    created_at: str
    expires_at: str
    predicted: str | None = None  # of a review batch: the label that all its items got
    naming: bool = False  # all its items were called wrong, and wait for the name of their class
    items: list[BatchItem]

    def find_item(self, prediction_id: str) -> BatchItem | None:
        """Finds the item of that prediction; None when this batch does not hold it."""
        return next((i for i in self.items if i.prediction_id == prediction_id), None)


class Answers(Document):
    """`answer-<n>-<k>.json`: prediction id -> label, `≠` for an answer called wrong; null when the person could not say."""

    schema_: str = Field(default="1", alias="schema")
    holder: BatchHolder
    at: str
    answers: dict[str, str | None]
    withdrawn: list[str] = []  # what was said of these before is taken back: they are unanswered again
    skipped: list[str] = []  # of the null answers those that the person passed on, and may look at again later
    released: bool = False  # the person gave the batch back: what is not answered waits again


class GoldJudged(Document):
    """`samples/<model>/gold/judged/<person>/<prediction id>.json`: this person has judged this gold item."""

    schema_: str = Field(default="1", alias="schema")
    holder: BatchHolder
    at: str
