"""Predictions that somebody marked among the pictures and sent to review: asked beside the day's sample, never as part of it.

What somebody picked says nothing of what was not picked. So the answers have the strategy `picked`, no selection probability,
and the origin class feedback, which has no say where there is any other: no estimate that rests on an audit, a review sample
or imported labels moves (docs/decisions/0020-pictures.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field

from contract import clock, layout, samples
from contract.confidence import confidence_bin
from contract.counts import SMALLEST_P
from contract.documents.document import Document
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.samples import Sample
from contract.sequence import NumberedDocuments
from contract.stores.store import Storage
from inference.labelling.documents import BatchItem
from inference.labelling.gold import GoldItems
from inference.labelling.items import Item
from inference.labelling.queue import Queue
from inference.labelling.repeats import BlindRepeats

STRATEGY, ORIGIN, KIND, POPULATION = "picked", "feedback", "review", "live"
LOOKED_S = 1.0


class PickedItem(Document):
    """A prediction that was picked; `bin` of its confidence, null without one."""

    day: str
    prediction_id: str
    predicted: str
    bin: int | None
    image_sha256: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Makes one of a row of inference/pictures/search.py."""
        return cls(day=row["day"], prediction_id=row["prediction_id"], predicted=row["predicted"],
                   bin=confidence_bin(row["confidence"]), image_sha256=row["image_sha256"])


class Picked(Document):
    """`samples/<model>/dt=<day>/picked/<n>.json`: what was picked at one time."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    by: str
    at: str
    items: list[PickedItem]


def pick(storage: Storage, model: str, by: str, items: Sequence[PickedItem]) -> int:
    """Sends predictions to review; returns how many of them were not sent before."""
    new = 0
    for day in dict.fromkeys(item.day for item in items):
        there = {item.prediction_id for item in read_picked(storage, model, day)}
        mine = [item for item in items if item.day == day and item.prediction_id not in there]
        if mine:
            document = Picked(by=by, at=clock.iso(clock.now()), items=mine)
            NumberedDocuments(storage, layout.picked(model, day)).add(document.to_dict())
        new += len(mine)
    return new


def read_picked(storage: Storage, model: str, day: str) -> list[PickedItem]:
    """Reads what was picked of a day, in that order; a document that cannot be read is passed over."""
    found: list[PickedItem] = []
    for entry in storage.list(layout.picked_folder(model, day)):
        try:
            found += Picked.load(storage, entry.key).items
        except (DamagedDocument, NotFound) as error:
            pass_over(error)
    return found


class PickedQueue(Queue):
    """The review queue of a day: its sample's items, if one was drawn, then those that were picked."""

    def __init__(self, storage: Storage, model: str, day: str, sample: Sample | None, gold_items: GoldItems | None,
                 blind_repeats: BlindRepeats | None = None) -> None:
        super().__init__(storage, sample or _make_empty_sample(model, day), gold_items, blind_repeats)
        self.is_alone = sample is None
        self._sampled = self._drawn
        self._drawn = _DrawnAndPicked(self)  # type: ignore[assignment]
        self._picked: tuple[float, dict[str, Item]] | None = None

    def list_sampled(self) -> dict[str, Item]:
        """Lists the items of the sample."""
        return {} if self.is_alone else self._sampled.read_all()

    def list_picked(self) -> dict[str, Item]:
        """Lists the items that were picked and that the sample does not ask about."""
        now = clock.monotonic()
        if self._picked is None or now - self._picked[0] > LOOKED_S:
            items = read_picked(self.storage, self.sample.model, self.sample.day)
            self._picked = now, {i.prediction_id: Item(i.prediction_id, i.predicted, i.bin, i.image_sha256, i.image_sha256)
                                 for i in items}
        sampled = self.list_sampled()
        return {name: item for name, item in self._picked[1].items() if name not in sampled}

    def list_predicted_labels(self) -> frozenset[str]:
        """Lists the labels that the model gave to what is asked about: of the whole day where a sample was drawn."""
        drawn = frozenset() if self.is_alone else self._sampled.predicted
        return drawn | {item.predicted for item in self.list_picked().values()}

    def _make_batch(self, holder: Any, chosen: list[Any]) -> Any:
        batch, picked = super()._make_batch(holder, chosen), self.list_picked()
        items = [item.model_copy(update={"p": None}) if item.prediction_id in picked else item for item in batch.items]
        return batch.model_copy(update={"items": items})

    def _say_how_chosen(self, item: BatchItem) -> tuple[float | None, str, str, str | None]:
        if not item.gold and item.p is None and item.prediction_id in self.list_picked():
            return None, STRATEGY, ORIGIN, self.sample.day
        return super()._say_how_chosen(item)


class _DrawnAndPicked:
    """What a queue asks of `DrawnItems`."""

    def __init__(self, queue: PickedQueue) -> None:
        self._queue = queue

    def read_all(self) -> dict[str, Item]:
        return self._queue.list_sampled() | self._queue.list_picked()

    @property
    def predicted(self) -> frozenset[str]:
        return self._queue.list_predicted_labels()


def open_queue(storage: Storage, model: str, day: str, kind: str, population: str, gold_items: GoldItems | None,
               blind_repeats: BlindRepeats | None = None) -> Queue | None:
    """Opens the queue of a day; None when no sample was drawn, and nothing picked. What is picked are live predictions."""
    sample = samples.read(storage, model, day, kind, population)
    if kind != KIND or population != POPULATION:
        return Queue(storage, sample, gold_items, blind_repeats) if sample else None
    if sample is None and not read_picked(storage, model, day):
        return None
    return PickedQueue(storage, model, day, sample, gold_items, blind_repeats)


def is_outdated(queue: Queue) -> bool:
    """Says whether a sample was drawn since the queue was opened for what was picked alone."""
    sample = queue.sample
    return isinstance(queue, PickedQueue) and queue.is_alone and \
        samples.read(queue.storage, sample.model, sample.day, KIND) is not None


def _make_empty_sample(model: str, day: str) -> Sample:
    """Makes what stands for a sample where none was drawn; it is never written, and nothing is drawn by it."""
    return Sample(model=model, day=day, kind="review", strategy=STRATEGY, salt=f"picked:{day}",
                  created_at=clock.iso(clock.now()), floor=SMALLEST_P, default=SMALLEST_P)
