"""Blind repeats for the pages: a few of what a labeler judged with the model's answer in sight come to the same labeler again,
later and without it, among the items of an audit (docs/labelers-anchoring.md).

As a gold item's, its id is made up for the batch, so nothing that counts the sample's items ever meets one. What is said of
it is no label row: the document of the repeat holds it (contract/documents/repeat.py).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice

from contract import clock, ids, layout, samples
from contract.documents.repeat import BlindRepeat, read_repeats
from contract.errors import AlreadyExists, TrueupError
from contract.samples import Sample
from contract.sequence import NumberedDocuments
from contract.stores.store import Storage
from inference.labelling.documents import Batch, BatchHolder, BatchItem
from inference.labelling.gold import LOOKED_AT, RANDOM, make_id, mix
from inference.labelling.history import name_folder
from inference.telemetry import log_event

STRATEGY = "blind-repeat"  # of judgements that become no label rows
PLACES = 0.2  # of an audit batch, while some wait: dense enough to come back within days, and most items are the audit's


class BlindRepeats:
    """The blind repeats of one model. Methods read the store; threads may share it without a lock, as they may a Queue."""

    def __init__(self, storage: Storage, model: str, share: float, delay: timedelta) -> None:
        """`share`: of a labeler's own review items. `delay`: the least between the two answers."""
        self.storage, self.model, self.share, self.delay = storage, model, share, delay
        self._documents: dict[str, BlindRepeat] = {}
        self._samples: dict[tuple[str, str], Sample | None] = {}

    # -- what was said with the answer in sight ---------------------------------------------------------------------------

    def note_seen(self, sample: Sample, batch: Batch, answers: Mapping[str, str | None]) -> None:
        """Notes the answers to a review batch that are to be repeated: which ones, a hash of person and prediction says.

        `answers`: by prediction id, None where the person cannot tell or takes it back. What was said of an item that
        others had called wrong begins no repeat: that page shows more than the model's answer.
        """
        for item in filter(None, map(batch.find_item, answers)):
            if self._is_chosen(sample, batch.holder, item):
                with _pass_over_errors():
                    self._note_one(sample, batch, item, answers[item.prediction_id])

    def _note_one(self, sample: Sample, batch: Batch, item: BatchItem, label: str | None) -> None:
        now, there = clock.iso(clock.now()), self._read(batch.holder, item.prediction_id)
        if there is not None and there.blind_at is None:
            self._change(batch.holder, item.prediction_id, {"seen": label, "seen_at": now})
        elif there is None and label is not None and not batch.naming:
            self._begin(sample, batch, item, label, now)

    def _is_chosen(self, sample: Sample, holder: BatchHolder, item: BatchItem) -> bool:
        if item.gold or not item.image or not ids.is_uuid7(item.prediction_id):
            return False  # an id of another kind is no part of a key, and a made-up one beside it would stand out
        return samples.is_asked(f"repeat:{sample.salt}:{name_folder(holder)}", item.prediction_id, self.share)

    def _begin(self, sample: Sample, batch: Batch, item: BatchItem, label: str, now: str) -> None:
        first = BlindRepeat(model=self.model, role=sample.role, day=sample.day, prediction_id=item.prediction_id,
                            predicted=batch.predicted or "", bin=item.bin, image_sha256=item.image or "",
                            labeler=batch.holder.labeler, share=self.share, at=now, seen=label, seen_at=now)
        try:
            self._number(batch.holder, item.prediction_id).append(first.to_dict(), after=0)
        except AlreadyExists:  # the same answer, sent to another replica
            return

    # -- what is handed out -------------------------------------------------------------------------------------------------

    def mix_in(self, batch: Batch, items: list[BatchItem], size: int, sample: Sample, drawn: Collection[str],
               held: Collection[str | None]) -> list[BatchItem]:
        """Puts repeats that are due among the items of an audit batch, in all `size` at the most.

        `drawn`: ids that the sample asks about, for made-up ones; `held`: predictions that this person holds under such an id.
        """
        if sample.kind != "audit":
            return items
        taken = {item.gold for item in items} | set(held)
        due = (r for r in self._list_due(batch.holder, sample) if r.prediction_id not in taken)
        made = (BatchItem(prediction_id=make_id(sample.day, drawn), image=r.image_sha256, repeat=r.prediction_id, bin=r.bin)
                for r in due)
        return mix(items, size, PLACES, made)

    def _list_due(self, holder: BatchHolder, sample: Sample) -> Iterator[BlindRepeat]:
        if not self.share:
            return iter(())
        until = clock.iso(clock.now() - self.delay)
        waiting = [r for r in read_repeats(self.storage, self.model, name_folder(holder), seen=self._documents)
                   if r.seen is not None and r.blind_at is None and r.seen_at <= until and r.role == sample.role]
        RANDOM.shuffle(waiting)
        return (r for r in islice(waiting, LOOKED_AT) if self._may_be_asked(r))

    def _may_be_asked(self, repeat: BlindRepeat) -> bool:
        if self.storage.exists(layout.erasure(repeat.image_sha256)):
            return False
        if not any(True for _ in self.storage.list(layout.image(repeat.image_sha256, ""))):
            return False  # expired
        return not self._is_audited(repeat)

    def _is_audited(self, repeat: BlindRepeat) -> bool:
        """Says whether the audit of its own day asks about it, whose first answer has a weight and must be one."""
        at = repeat.day, repeat.role
        if self._samples.get(at) is None:
            self._samples[at] = samples.read(self.storage, self.model, repeat.day, "audit", repeat.role)
        sample = self._samples[at]
        return sample is not None and any(samples.draw_rows(sample, [(repeat.prediction_id, repeat.predicted, repeat.bin)]))

    # -- what was said without it -------------------------------------------------------------------------------------------

    def note_blind(self, batch: Batch, answers: Mapping[str, str | None], withdrawn: Collection[str],
                   skipped: Collection[str]) -> None:
        """Notes the answers to the repeats of an audit batch; one that was skipped or taken back waits again."""
        now = clock.iso(clock.now())
        for item in filter(None, map(batch.find_item, [*answers, *withdrawn])):
            if item.repeat:
                back = item.prediction_id in withdrawn or item.prediction_id in skipped
                said = {"blind": None if back else answers[item.prediction_id], "blind_at": None if back else now}
                with _pass_over_errors():
                    self._change(batch.holder, item.repeat, said)

    # -- documents ----------------------------------------------------------------------------------------------------------

    def _number(self, holder: BatchHolder, prediction_id: str) -> NumberedDocuments:
        return NumberedDocuments(self.storage, layout.repeat(self.model, name_folder(holder), prediction_id))

    def _read(self, holder: BatchHolder, prediction_id: str) -> BlindRepeat | None:
        newest = self._number(holder, prediction_id).newest()
        return BlindRepeat.parse(newest[1], prediction_id) if newest else None

    def _change(self, holder: BatchHolder, prediction_id: str, change: Mapping[str, str | None]) -> None:
        """Appends the state after a change; whoever loses a race for the number looks again."""
        numbered = self._number(holder, prediction_id)
        while (newest := numbered.newest()) is not None:
            was = BlindRepeat.parse(newest[1], numbered.uri(newest[0]))
            made = was.model_copy(update={**change, "at": clock.iso(clock.now())})
            if _read_state(made) == _read_state(was):
                return
            try:
                numbered.append(made.to_dict(), after=newest[0])
                return
            except AlreadyExists:
                continue


@contextmanager
def _pass_over_errors() -> Iterator[None]:
    """A repeat that cannot be read or noted is lost, and must stop nobody: the labels of the batch are durable already."""
    try:
        yield
    except TrueupError as error:
        log_event("blind repeat is not noted", logging.ERROR, error=str(error))


def _read_state(repeat: BlindRepeat) -> tuple[str | None, str | None, bool]:
    return repeat.seen, repeat.blind, repeat.blind_at is None
