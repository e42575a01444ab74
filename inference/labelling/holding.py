"""Who holds batches of which samples: so that who leaves gives them back, whichever replica handed them out."""

from __future__ import annotations

from collections.abc import Iterator

from contract import clock, layout, samples
from contract.counts import UNNAMED
from contract.errors import DamagedDocument, NotFound
from contract.stores.store import Storage
from inference.labelling.documents import Batch, BatchHolder
from inference.labelling.history import identify
from inference.labelling.populations import list_populations
from inference.labelling.queue import Queue

NEWEST_DAYS = 30  # of samples that are looked through


def list_held(storage: Storage, models: list[str], holder: BatchHolder) -> Iterator[tuple[str, str, str, str]]:
    """Yields (model, day, kind, population) of the samples of the newest days of which this person holds a batch that has not
    expired."""
    for model, population in [(name, of) for name in models for of in list_populations(storage, name)]:
        days = sorted(filter(None, map(layout.day_of, storage.folders(layout.samples(model, population)))), reverse=True)
        for sample in ((model, day, kind, population) for day in days[:NEWEST_DAYS] for kind in samples.KINDS):
            if _holds(storage, sample, holder):
                yield sample


def _holds(storage: Storage, sample: tuple[str, str, str, str], holder: BatchHolder) -> bool:
    """Batches are made in the order of their numbers and all held equally long, so the first expired one ends the search."""
    folder, now = layout.sample(*sample), clock.iso(clock.now())
    found = (layout.find_sample_part(entry.key.removeprefix(folder)) for entry in storage.list(folder))
    for n in sorted((int(part["batch"]) for part in found if part and part["batch"]), reverse=True):
        try:
            batch = Batch.load(storage, layout.batches(*sample).format(n))
        except (DamagedDocument, NotFound):  # the queue names it
            continue
        if batch.expires_at <= now:
            return False
        if batch.holder == holder:
            return True
    return False


def release_settled(queue: Queue, holder: BatchHolder) -> list[int]:
    """Gives back batches that ask this person for the class of what they no longer call wrong; returns their numbers."""
    me, answers = identify(holder), queue.collect_opinions()
    settled = [n for n, batch in queue.list_open_batches().items() if batch.naming and identify(batch.holder) == me
               and any(answers.get(i.prediction_id, {}).get(me, UNNAMED) != UNNAMED and i.prediction_id not in
                       queue.find_answers(n) for i in batch.items)]
    return queue.release(holder, settled) if settled else []
