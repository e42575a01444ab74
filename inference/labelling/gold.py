"""Gold items for the pages: which ones a person may get, and how they lie among the others (docs/design.md#gold-items).

A batch names a gold item by an id made up for it, of the sample's day: the prediction's own would tell its day, which is
another one mostly. Which prediction is meant stands in the batch's document, which no page shows. So nothing that counts the
sample's items ever meets a gold one.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from datetime import timedelta
from itertools import islice
from random import SystemRandom

from contract import clock, ids, layout, samples
from contract.documents.gold import GoldAnswer, read_gold
from contract.rows.listing import fingerprint, list_rows
from contract.rows.reading import rows_where
from contract.samples import KINDS, Sample
from contract.stores.store import Storage, create_if_absent
from inference.labelling.documents import Batch, BatchHolder, BatchItem, GoldJudged
from inference.labelling.history import name_folder
from inference.telemetry import log_event

# An estimate of accuracy by an audit must not rest on predictions that somebody picked.
ORIGIN = "review"
RANDOM = SystemRandom()
NEARBY_S = 5.0
HELD = timedelta(hours=1)  # longer than any batch: an answer must not come too late for the service
LOOKED_AT = 20  # items that are looked at closely for one batch, each of which asks the store


class GoldItems:
    """The gold items of one model. Methods read the store; threads may share it without a lock, as they may a Queue."""

    def __init__(self, storage: Storage, model: str, share: float, oldest: timedelta) -> None:
        """`share`: of what is handed out. `oldest`: age of a prediction at which the service refuses labels."""
        self.storage, self.model, self.share = storage, model, share
        self.known: dict[str, GoldAnswer] = {}  # when the last batch was handed out
        self._oldest = oldest - HELD
        self._documents: dict[str, GoldAnswer] = {}
        self._samples: dict[tuple[str, str], Sample] = {}
        self._people: dict[str, tuple[list[list[str]], frozenset[str | None]]] = {}

    def offer(self, holder: BatchHolder, kind: str, predicted: str | None, reserved: Collection[str]) -> Iterator[GoldAnswer]:
        """Yields, in random order, gold items that this person has not judged; each is looked at when it is asked for.

        `kind`: of the page. `predicted`: the answer of the model that all of them must have. `reserved`: predictions that
        the page's own sample asks, or asked, this person about.
        """
        self.known = self._read_known() if self.share else {}
        oldest = clock.now() - self._oldest
        waiting = [gold for i, gold in self.known.items() if i not in reserved and predicted in (None, gold.predicted)
                   and ids.moment_of(i) > oldest]
        return self._choose(waiting, holder, kind)

    def mix_in(self, batch: Batch, size: int, sample: Sample, drawn: Collection[str],
               reserved: Collection[str]) -> list[BatchItem]:
        """Puts gold items among the items of a batch; `drawn`: ids that the sample asks about, for made-up ones."""
        offered = self.offer(batch.holder, sample.kind, batch.predicted, reserved)
        made = (BatchItem(prediction_id=make_id(sample.day, drawn), image=g.image_sha256, gold=g.prediction_id, bin=g.bin)
                for g in offered)
        return mix(batch.items, size, self.share, made)

    def _read_known(self) -> dict[str, GoldAnswer]:
        unreadable: list[str] = []
        found = read_gold(self.storage, self.model, self._documents, unreadable)
        for error in unreadable:  # one damaged document must not stop people from labelling
            log_event("gold item is damaged", logging.ERROR, error=error)
        return found

    def _choose(self, waiting: list[GoldAnswer], holder: BatchHolder, kind: str) -> Iterator[GoldAnswer]:
        judged = self._list_judged(holder) if waiting else ()
        waiting = [gold for gold in waiting if gold.prediction_id not in judged]
        RANDOM.shuffle(waiting)
        yield from (gold for gold in islice(waiting, LOOKED_AT) if self._may_be_asked(gold, holder, kind))

    def mark_judged(self, holder: BatchHolder, prediction_id: str) -> None:
        """Notes that a person has judged a gold item, for the pages of all days: its label row may lie in an outbox."""
        key = layout.gold(self.model, "judged", name_folder(holder), prediction_id)
        create_if_absent(self.storage, key, GoldJudged(holder=holder, at=clock.iso(clock.now())).to_bytes())

    def _list_judged(self, holder: BatchHolder) -> set[str]:
        folder = layout.gold(self.model, "judged", name_folder(holder))
        return {layout.document_name(entry.key) for entry in self.storage.list(folder)}

    def _may_be_asked(self, gold: GoldAnswer, holder: BatchHolder, kind: str) -> bool:
        # Whoever answers first in a class gives the prediction its weight, so a review sample must ask about its items
        # itself; and who is to audit an item blind must not have seen the model's answer.
        if any(self._is_drawn(gold, other) for other in (KINDS if kind == "review" else ("review",))):
            return False
        if self.storage.exists(layout.erasure(gold.image_sha256)):
            return False
        if self._has_label(gold, holder):
            self.mark_judged(holder, gold.prediction_id)
            return False
        return True

    def _is_drawn(self, gold: GoldAnswer, kind: str) -> bool:
        """Says whether the sample of its own day asks about it."""
        at = (_day_of(gold), kind)
        if at not in self._samples:
            sample = samples.read(self.storage, self.model, *at)
            if sample is None:
                return False
            self._samples[at] = sample
        return any(samples.draw_rows(self._samples[at], [(gold.prediction_id, gold.predicted, gold.bin)]))

    def _has_label(self, gold: GoldAnswer, holder: BatchHolder) -> bool:
        """Says whether the bucket has a label of this person for it, whatever asked for that. Nameless visitors share a name."""
        if holder.visitor:
            return False
        day = _day_of(gold)
        files = fingerprint(list_rows(self.storage, layout.LABELS, day))
        known = self._people.get(gold.prediction_id)
        if known is None or known[0] != files:
            rows = rows_where(self.storage, layout.LABELS, day, "prediction_id", [gold.prediction_id], ("labeler",),
                              unreadable=[])
            known = self._people[gold.prediction_id] = files, frozenset(row["labeler"] for _, row in rows)
        return holder.labeler in known[1]


def mix(items: list[BatchItem], size: int, share: float, offered: Iterator[BatchItem]) -> list[BatchItem]:
    """Puts `offered` items among the others, in all `size` at the most: each place is one of theirs with probability `share`."""
    mixed: list[BatchItem] = []
    left = items[::-1]
    while len(mixed) < size:
        found = next(offered, None) if RANDOM.random() < share else None
        if found is None and not left:
            break
        mixed.append(found or left.pop())
    return mixed


def make_id(day: str, drawn: Collection[str]) -> str:
    """Makes up an id of that day, of about the time of one of the predictions that were drawn."""
    first = clock.parse_moment(f"{day}T00:00:00Z")
    seconds = RANDOM.uniform(0, 24 * 3600)
    near = RANDOM.choice(list(drawn)) if drawn else None
    if ids.is_uuid7(near):
        seconds = (ids.moment_of(near) - first).total_seconds() + RANDOM.uniform(-NEARBY_S, NEARBY_S)
    return ids.uuid7(first + timedelta(seconds=min(max(seconds, 0), 24 * 3600 - 1)))


def _day_of(gold: GoldAnswer) -> str:
    return ids.day_of(gold.prediction_id) or ""
