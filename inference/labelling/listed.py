"""The queue of a day's listed predictions (contract/review/listed.py): beside the day's sample, or blind and by themselves."""

from __future__ import annotations

from typing import Any, Literal, cast

from contract import clock, samples
from contract.counts import SMALLEST_P
from contract.review import listed
from contract.samples import Sample
from contract.stores.store import Storage
from inference.labelling.documents import BatchItem
from inference.labelling.gold import GoldItems
from inference.labelling.items import Item
from inference.labelling.queue import Queue
from inference.labelling.repeats import BlindRepeats

LOOKED_S = 1.0


class ListedQueue(Queue):
    """The queue of a day: its sample's items, if one was drawn, then those that were listed."""

    def __init__(self, storage: Storage, model: str, day: str, sample: Sample | None, gold_items: GoldItems | None,
                 blind_repeats: BlindRepeats | None = None, blind: bool = False) -> None:
        """`blind`: of what is listed to be judged blind, which stands beside no sample."""
        super().__init__(storage, sample or _make_empty_sample(storage, model, day, blind), gold_items, blind_repeats)
        self.is_alone, self.is_blind = sample is None, blind
        self._sampled = self._drawn
        self._drawn = _DrawnAndListed(self)  # type: ignore[assignment]
        self._listed: tuple[float, dict[str, tuple[str, Item]]] | None = None

    def list_sampled(self) -> dict[str, Item]:
        """Lists the items of the sample."""
        return {} if self.is_alone else self._sampled.read_all()

    def list_listed(self) -> dict[str, Item]:
        """Lists the items that were listed and that the sample does not ask about."""
        sampled = self.list_sampled()
        return {name: item for name, (_, item) in self._read_listed().items() if name not in sampled}

    def _read_listed(self) -> dict[str, tuple[str, Item]]:
        """Reads what was listed: prediction id -> strategy and item."""
        now = clock.monotonic()
        if self._listed is None or now - self._listed[0] > LOOKED_S:
            found = listed.read(self.storage, self.sample.model, self.sample.day, self.is_blind)
            self._listed = now, {name: (strategy, Item(name, i.predicted, i.bin, i.image_sha256, i.image_sha256))
                                 for name, (strategy, i) in found.items()}
        return self._listed[1]

    def list_predicted_labels(self) -> frozenset[str]:
        """Lists the labels that the model gave to what is asked about: of the whole day where a sample was drawn."""
        drawn = frozenset() if self.is_alone else self._sampled.predicted
        return drawn | {item.predicted for item in self.list_listed().values()}

    def _make_batch(self, holder: Any, chosen: list[Any]) -> Any:
        batch, beside = super()._make_batch(holder, chosen), self.list_listed()
        items = [item.model_copy(update={"p": None}) if item.prediction_id in beside else item for item in batch.items]
        return batch.model_copy(update={"items": items})

    def _say_how_chosen(self, item: BatchItem) -> tuple[float | None, str, str, str | None]:
        found = None if item.gold or item.repeat or item.p is not None else self._read_listed().get(item.prediction_id)
        if self.is_blind:  # also where the list cannot be read any more: never an answer of the audit
            return None, found[0] if found else self.sample.strategy, listed.ORIGIN, self.sample.day
        if found and item.prediction_id not in self.list_sampled():
            return None, found[0], listed.ORIGIN, self.sample.day
        return super()._say_how_chosen(item)


class _DrawnAndListed:
    """What a queue asks of `DrawnItems`."""

    def __init__(self, queue: ListedQueue) -> None:
        self._queue = queue

    def read_all(self) -> dict[str, Item]:
        return self._queue.list_sampled() | self._queue.list_listed()

    @property
    def predicted(self) -> frozenset[str]:
        return self._queue.list_predicted_labels()


def open_queue(storage: Storage, model: str, day: str, kind: str, population: str, gold_items: GoldItems | None,
               blind_repeats: BlindRepeats | None = None) -> Queue | None:
    """Opens the queue of a day; None when no sample was drawn, and nothing listed. What is listed are live predictions.

    No gold item and no repeat is put among what is listed blind: neither measures anything of an audit there.
    """
    is_listed = listed.is_any(storage, model, day, kind, population)
    if population == listed.POPULATION[True]:
        return ListedQueue(storage, model, day, None, None, blind=True) if is_listed else None
    sample = samples.read(storage, model, day, kind, population)
    if (kind, population) != (listed.KIND[False], listed.POPULATION[False]):
        return Queue(storage, sample, gold_items, blind_repeats) if sample else None
    if sample is None and not is_listed:
        return None
    return ListedQueue(storage, model, day, sample, gold_items, blind_repeats)


def is_outdated(queue: Queue) -> bool:
    """Says whether a sample was drawn since the queue was opened for what was listed alone."""
    sample = queue.sample
    return isinstance(queue, ListedQueue) and queue.is_alone and not queue.is_blind and \
        samples.read(queue.storage, sample.model, sample.day, sample.kind) is not None


def _make_empty_sample(storage: Storage, model: str, day: str, blind: bool) -> Sample:
    """Makes what stands for a sample where none was drawn; it is never written, and nothing is drawn by it.

    Its strategy, which tells people why they are asked, is that of the first list.
    """
    strategy = next((first for first, _ in listed.read(storage, model, day, blind).values()), listed.PICKED)
    return Sample(model=model, day=day, kind=cast(Literal["audit", "review"], listed.KIND[blind]), strategy=strategy,
                  salt=f"picked:{day}", created_at=clock.iso(clock.now()), floor=SMALLEST_P, default=SMALLEST_P,
                  role=listed.POPULATION[blind])
