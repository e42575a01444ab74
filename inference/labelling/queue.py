"""What waits for a person: batches of a sample's items, handed out so that no two people get the same batch.

All documents are beside `sample.json`, so all replicas agree: `batch-<n>.json` says who holds which items until when and
is created exclusively; `answer-<n>-<k>.json` says what was answered of it. Labels themselves take the durable path of
the service; the answers here only say what need not be asked again, without waiting for the shipper.

An item waits while it has fewer opinions than wanted and no unexpired batch holds it. Wanted are one (or, for the
sample's hash-chosen share, `judges`), and one more, up to three, while the opinions differ. Only the first opinion has
a selection probability. An item that was called wrong, without a class, comes first: it waits for the class, and whoever
called it wrong may be asked for that once. Otherwise nobody is asked twice about one item.

Some items of a batch are gold ones or blind repeats, which are no part of the sample (gold.py, repeats.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from contract import clock, ids, layout, samples
from contract.counts import UNNAMED
from contract.documents import gold
from contract.errors import AlreadyExists, DamagedDocument, NotFound, TrueupError, UsageError, pass_over, shorten
from contract.review import listed
from contract.samples import Sample, uniform
from contract.sequence import NumberedDocuments
from contract.stores.store import Entry, Storage
from inference.labelling import history
from inference.labelling.documents import Answers, Batch, BatchHolder, BatchItem
from inference.labelling.gold import ORIGIN, GoldItems
from inference.labelling.history import identify
from inference.labelling.items import DrawnItems, Item
from inference.labelling.repeats import STRATEGY as REPEAT
from inference.labelling.repeats import BlindRepeats

HOLD_MINUTES = 30
SPLIT_OPINIONS = 3  # a third person is asked where two differ
SECOND_OPINION = "second-opinion"


class HoldsItsShare(TrueupError):
    """A key holds as many batches as it may: what waits is for others, too."""


class Judged(NamedTuple):
    """Judgements that share a selection probability (None: second opinions, gold items), a strategy and an origin.

    Those of the strategy REPEAT answer blind repeats and become no label rows.
    """

    p: float | None
    strategy: str
    judgements: list[dict[str, Any]]
    origin: str
    day: str | None  # under which the predictions lie, whatever their ids say; None: the day that their ids name


class Waiting(NamedTuple):
    """An item to hand out."""

    item: Item
    opinions: int  # that it has
    naming: bool  # it was called wrong, and waits for its class
    completes: bool  # by the person it is for, who has not named the class yet
    gold: str | None = None  # the prediction that is meant, of a gold item


class Queue:
    """The waiting items of one sample. Methods read the store, so callers on an event loop use threads.

    Threads may share it without a lock: what is known only grows, readers take a snapshot, and who is first is decided
    by the store.
    """

    def __init__(self, storage: Storage, sample: Sample, gold_items: GoldItems | None = None,
                 blind_repeats: BlindRepeats | None = None) -> None:
        self.storage, self.sample, self._gold, self._repeats = storage, sample, gold_items, blind_repeats
        place = (sample.model, sample.day, sample.kind)
        self.folder = layout.sample(*place, sample.population)
        self._own = layout.sample_document(*place, sample.population)
        self._batches = NumberedDocuments(storage, layout.batches(*place, sample.population))
        self._drawn = DrawnItems(storage, sample)
        self._known: dict[str, Batch | Answers] = {}
        self._passed_over: dict[str, str] = {}  # key -> etag of what is no document of ours
        self._newest = 0  # the highest number of a batch, also of one that cannot be read

    # -- what is there ----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Reads the batches and answers that are new; those read before never change.

        What is none of them, or cannot be read, is passed over and named once: it must not stop the others. The items of a
        batch that cannot be read are handed out again, its number is not.
        """
        for entry in self.storage.list(self.folder):
            name = entry.key.removeprefix(self.folder)
            found = layout.find_sample_part(name)
            if found and found["batch"]:
                self._newest = max(self._newest, int(found["batch"]))
            known = entry.key == self._own or (found is not None and found["part"] in self._known)
            if not known and self._passed_over.get(name) != entry.etag:
                self._read(entry, found)

    def _read(self, entry: Entry, found: re.Match[str] | None) -> None:
        try:
            if not found:
                raise DamagedDocument(f"{self.storage.uri(entry.key)}: expected the name of a batch or of answers. Remove it.")
            self._known[found["part"]] = (Batch if found["batch"] else Answers).load(self.storage, entry.key)
        except (DamagedDocument, NotFound) as error:
            self._passed_over[entry.key.removeprefix(self.folder)] = entry.etag
            pass_over(error)

    def list_batches(self) -> dict[int, Batch]:
        """Returns all batches by number."""
        return {int(n.partition("-")[2]): d for n, d in list(self._known.items()) if isinstance(d, Batch)}

    def find_answers(self, n: int) -> dict[str, str | None]:
        """Returns what was answered of batch n so far; the last word counts."""
        return self._collect_answers().get(n, {})

    def find_last_answer(self, holder: BatchHolder) -> tuple[int, str] | None:
        """Finds (batch, prediction id) of the newest answer of this person that was not taken back; None without one."""
        return history.find_last_answer(self.list_answers(), holder)

    def list_answers(self) -> list[tuple[int, Answers]]:
        """Lists (batch number, answers) in their order, as far as they were read."""
        numbered = sorted((int(n), int(k), name) for name, d in list(self._known.items()) if isinstance(d, Answers)
                          for _, n, k in [name.split("-")])
        return [(n, d) for n, _, name in numbered if isinstance(d := self._known[name], Answers)]

    def _list_released(self) -> set[int]:
        return {n for n, d in self.list_answers() if d.released}

    def _collect_answers(self) -> dict[int, dict[str, str | None]]:
        return history.collect_answers(self.list_answers())

    def collect_opinions(self, without: int | None = None) -> dict[str, dict[tuple[str, str, str], str | None]]:
        """Collects prediction id -> person -> their label (None: could not say); `without` the answers to that batch."""
        opinions: dict[str, dict[tuple[str, str, str], str | None]] = {}
        answers = self._collect_answers()
        for n, batch in self.list_batches().items():
            for prediction_id, label in answers.get(n, {}).items() if n != without else ():
                opinions.setdefault(prediction_id, {})[identify(batch.holder)] = label
        return opinions

    def list_open_batches(self) -> dict[int, Batch]:
        """Returns the batches that are neither expired, nor given back, nor answered in full."""
        now, answers = clock.iso(clock.now()), self._collect_answers()
        released = self._list_released()
        return {n: b for n, b in self.list_batches().items()
                if b.expires_at > now and n not in released and len(answers.get(n, {})) < len(b.items)}

    def count_wanted(self, item: Item, labels: Iterable[str | None]) -> int:
        """Counts the opinions that an item is to get, given those it has."""
        said = [label for label in labels if label is not None]
        other = [label for label in said if label not in (UNNAMED, item.predicted)]
        apart = [label for label in said if label != UNNAMED] if other else said  # a `≠` counts for another class that is named
        base = samples.opinions(self.sample, item.prediction_id)
        return max(base, min(len(said) + 1, SPLIT_OPINIONS)) if len(set(apart)) > 1 and _is_tied(apart) else base

    def list_waiting(self, holder: BatchHolder | None = None) -> list[Waiting]:
        """Lists the items to hand out (to this holder): first those that wait for a class, then those with fewest opinions."""
        opinions, answers = self.collect_opinions(), self._collect_answers()
        times = self._count_times(holder) if holder else Counter()
        again = self._list_to_ask_again(holder) if holder else set()
        held = {i.prediction_id for n, b in self.list_open_batches().items() for i in b.items
                if i.prediction_id not in answers.get(n, {})}
        waiting = []
        for prediction_id, item in self._drawn.read_all().items():
            given = opinions.get(prediction_id, {})
            mine = given.get(identify(holder)) if holder else None
            completes = mine == UNNAMED and times[prediction_id] == 1
            asked_before = holder is not None and identify(holder) in given and not completes and prediction_id not in again
            if item.image_sha256 is None or item.image_uri is None or prediction_id in held or asked_before:
                continue
            found = Waiting(item, sum(label is not None for label in given.values()), _waits_for_class(item, given.values()),
                            completes)
            if found.naming or found.opinions < self.count_wanted(item, given.values()):
                waiting.append(found)
        if holder and (wrong := self._list_gold_to_name(holder, opinions, times)):
            order = f"order:{self.sample.salt}"  # that of the drawn ones, so that their place tells nothing
            waiting = sorted([*wrong, *waiting], key=lambda w: uniform(order, w.item.prediction_id))
        return sorted(waiting, key=lambda w: (not w.naming, w.opinions))

    def _list_gold_to_name(self, holder: BatchHolder, opinions: dict[str, dict[tuple[str, str, str], str | None]],
                           times: Counter[str]) -> list[Waiting]:
        """Lists the gold items that this person called wrong: like all others they come back once for their class."""
        me = identify(holder)
        mine = [(i, b) for b in self.list_batches().values() if identify(b.holder) == me for i in b.items if i.gold]
        return [Waiting(Item(i.prediction_id, b.predicted or "", i.bin, i.image, None), 1, True, True, i.gold) for i, b in mine
                if opinions.get(i.prediction_id, {}).get(me) == UNNAMED and times[i.prediction_id] == 1]

    def _count_times(self, holder: BatchHolder) -> Counter[str]:
        """Counts how often each item was handed to this person."""
        answers, gone, person = self._collect_answers(), self._list_released(), identify(holder)
        mine = ((n, b) for n, b in self.list_batches().items() if identify(b.holder) == person)
        return Counter(i.prediction_id for n, b in mine for i in b.items
                       if n not in gone or i.prediction_id in answers.get(n, {}))  # given back unanswered: as if never handed out

    def _list_to_ask_again(self, holder: BatchHolder) -> set[str]:
        """Lists what this person skipped as long ago as a batch is held."""
        return history.list_skipped(self.list_answers(), holder, clock.iso(clock.now() - timedelta(minutes=HOLD_MINUTES)))

    # -- handing out ------------------------------------------------------------------------------------------------

    def resume_or_hand_out(self, holder: BatchHolder, size: int, most: int | None) -> tuple[int, Batch] | None:
        """Returns the batch that this person holds, else makes one; HoldsItsShare when the key holds `most` batches."""
        return self.find_open_batch(holder) or self.hand_out(holder, size, most)

    def hand_out(self, holder: BatchHolder, size: int, most: int | None = None) -> tuple[int, Batch] | None:
        """Makes a new batch of `size` items for this holder; None when nothing waits.

        Who loses a race for the number looks again. `most`: the batches that a person's key may hold; None: any number.
        """
        while True:
            self.refresh()
            if most is not None:
                if (mine := self.find_open_batch(holder)) is not None:
                    return mine
                self._check_share(holder, most)
            after = max(self._newest, max(self.list_batches(), default=0))
            waiting = self.list_waiting(holder)
            chosen = self._choose_items(waiting, size)
            if not chosen:
                return None
            batch = self._make_batch(holder, chosen)
            batch = batch.model_copy(update={"items": self._mix_in_others(batch, size, waiting)})
            try:
                n = self._batches.append(batch.to_dict(), after=after)
            except AlreadyExists:
                continue
            self._known[f"batch-{n}"] = batch
            return n, batch

    def _check_share(self, holder: BatchHolder, most: int) -> None:
        held = sum(batch.holder.actor == holder.actor for batch in self.list_open_batches().values())
        if held >= most:
            raise HoldsItsShare(f"the key {holder.actor} holds {held} batches of this {self.sample.kind} sample. Answer them, "
                                f"log out to give them back, or wait: a batch is free again after {HOLD_MINUTES} minutes.")

    def release(self, holder: BatchHolder, only: Collection[int] | None = None) -> list[int]:
        """Gives back the batches that this person holds (or `only` these of them), and returns their numbers; what was
        answered of them stays."""
        self.refresh()
        person = identify(holder)
        mine = [n for n, b in self.list_open_batches().items() if identify(b.holder) == person and (only is None or n in only)]
        for n in mine:
            self._add_answers(n, Answers(holder=holder, at=clock.iso(clock.now()), answers={}, released=True))
        return mine

    def _choose_items(self, waiting: list[Waiting], size: int) -> list[Waiting]:
        present = [w for w in waiting[:4 * size + 100] if self._is_not_erased(w.item)]
        if self.sample.kind == "review" and present:
            present = [w for w in present if w.naming == present[0].naming]
            label = Counter(w.item.predicted for w in present).most_common(1)[0][0]
            present = [w for w in present if w.item.predicted == label]
        return present[:size]

    def _is_not_erased(self, item: Item) -> bool:
        """Says whether the picture is still there to be judged."""
        return not self.storage.exists(layout.erasure(item.image_sha256 or ""))

    def _make_batch(self, holder: BatchHolder, chosen: list[Waiting]) -> Batch:
        now = clock.now()
        # Who names the class of what they called wrong replaces their own opinion, so its probability goes on.
        items = [BatchItem(prediction_id=w.item.prediction_id, image=w.item.image_sha256,
                           p=w.item.p if not w.gold and (not w.opinions or (w.completes and w.opinions == 1)) else None,
                           gold=w.gold, bin=w.item.bin) for w in chosen]
        return Batch(holder=holder, created_at=clock.iso(now),
                     expires_at=clock.iso(now + timedelta(minutes=HOLD_MINUTES)), items=items,
                     predicted=chosen[0].item.predicted if self.sample.kind == "review" else None,
                     naming=chosen[0].naming)

    def _mix_in_others(self, batch: Batch, size: int, waiting: list[Waiting]) -> list[BatchItem]:
        """Puts gold items and blind repeats among the items of a batch."""
        naming = self.sample.kind == "review" and batch.naming  # such a batch holds what was called wrong
        foreign = not all(ids.is_uuid7(item.prediction_id) for item in batch.items)  # a made-up id would stand out
        if naming or foreign:
            return batch.items
        me, drawn, items = identify(batch.holder), self._drawn.read_all(), batch.items
        held = [(i, identify(other.holder) == me) for other in self.list_open_batches().values() for i in other.items]
        if self._gold is not None:
            reserved = {w.item.prediction_id for w in waiting}
            reserved |= {i for i, given in self.collect_opinions().items() if me in given}
            reserved |= {i.gold if i.gold and mine else i.prediction_id for i, mine in held}
            items = self._gold.mix_in(batch, size, self.sample, drawn, reserved)
        if self._repeats is not None:
            items = self._repeats.mix_in(batch, items, size, self.sample, drawn, {i.repeat for i, mine in held if mine})
        return items

    def find_batch(self, n: int) -> Batch:
        """Returns batch n; NotFound when it was never handed out."""
        self.refresh()
        batch = self.list_batches().get(n)
        if batch is None:
            raise NotFound(f"{self.sample.kind} batch {n} of {self.sample.model!r} on {self.sample.day} was never "
                           f"handed out.")
        return batch

    def find_open_batch(self, holder: BatchHolder) -> tuple[int, Batch] | None:
        """Finds the open batch of this person, to go on where they stopped."""
        self.refresh()
        person = identify(holder)
        return next(((n, b) for n, b in self.list_open_batches().items() if identify(b.holder) == person), None)

    # -- answers ----------------------------------------------------------------------------------------------------

    def group_judgements(self, n: int, answers: Mapping[str, str | None], withdrawn: Collection[str] = (),
                         label_ids: Mapping[str, str] | None = None) -> list[Judged]:
        """Groups the new judgements among the answers by their probability.

        An answer given before is dropped, so that a form sent twice writes once; one that was a class, and is none now or
        `withdrawn`, becomes a withdrawal. UsageError names a foreign item.
        """
        batch, before = self.find_batch(n), self.find_answers(n)
        groups: dict[tuple[float | None, str, str, str | None], list[dict[str, Any]]] = {}
        for prediction_id, label in {**answers, **dict.fromkeys(withdrawn)}.items():
            item = batch.find_item(prediction_id)
            if item is None:
                raise UsageError(f"batch {n} does not hold the prediction {shorten(prediction_id)}.")
            if before.get(prediction_id) != label:
                judgement = {"prediction_id": item.gold or item.repeat or prediction_id, "label": label,
                             **({"withdraws": True} if label is None else {}),
                             **({"label_id": label_ids[prediction_id]} if label_ids and prediction_id in label_ids else {})}
                groups.setdefault(self._say_how_chosen(item), []).append(judgement)
        return [Judged(p, strategy, judgements, origin, day) for (p, strategy, origin, day), judgements in groups.items()]

    def _say_how_chosen(self, item: BatchItem) -> tuple[float | None, str, str, str | None]:
        """Returns probability, strategy and origin of an item's label row, and the day that it belongs to."""
        if item.gold or item.repeat:
            return None, gold.STRATEGY if item.gold else REPEAT, ORIGIN, None
        weighted = self.sample.below is None
        strategy = SECOND_OPINION if item.p is None else self.sample.strategy
        return item.p if weighted else None, strategy, self.sample.kind, self.sample.day

    def save_answers(self, n: int, answers: Mapping[str, str | None], withdrawn: Collection[str] = (),
                     skipped: Collection[str] = ()) -> None:
        """Notes what was answered, after its labels are durable: a crash between the two asks again, loses nothing."""
        batch = self.find_batch(n)
        before = self.find_answers(n)
        new = {i: label for i, label in answers.items() if i not in before or before[i] != label}
        back = [i for i in withdrawn if i in before]
        if not new and not back:
            return
        self._mark_gold(batch, new)
        if self._repeats and self.sample.kind == "review":
            self._repeats.note_seen(self.sample, batch, new | dict.fromkeys(back))
        elif self._repeats:
            self._repeats.note_blind(batch, new, back, skipped)
        self._add_answers(n, Answers(holder=batch.holder, at=clock.iso(clock.now()), answers=new, withdrawn=back,
                                     skipped=[i for i in new if i in skipped]))

    def _add_answers(self, n: int, document: Answers) -> None:
        pattern = layout.answers(self.sample.model, self.sample.day, self.sample.kind, n, self.sample.population)
        k = NumberedDocuments(self.storage, pattern).add(document.to_dict())
        self._known[f"answer-{n}-{k}"] = document

    def _mark_gold(self, batch: Batch, answers: Iterable[str]) -> None:
        """Notes which gold items were judged: those that were mixed in, and those that the sample itself asks about."""
        for item in filter(None, map(batch.find_item, answers)):
            if self._gold and (item.gold or item.prediction_id in self._gold.known):
                self._gold.mark_judged(batch.holder, item.gold or item.prediction_id)

    def list_predicted(self) -> list[str]:
        """Lists the labels that the model gave to the predictions of the day, in order."""
        self._drawn.read_all()
        return sorted(self._drawn.predicted)

    def count_progress(self, without: int | None = None) -> dict[str, int]:
        """Counts the items that are asked, that were answered (by anybody), and that wait.

        `without`: a batch under way whose answers are left out. A gold item moves no count, so while a person answers a
        batch none of its items may.
        """
        opinions = self.collect_opinions(without)
        answered = {i for i, given in opinions.items() if any(v is not None for v in given.values())}
        asked = self._drawn.read_all()
        return {"asked": len(asked), "answered": len(answered & set(asked)), "waiting": len(self.list_waiting())}


def _waits_for_class(item: Item, labels: Collection[str | None]) -> bool:
    """Says whether somebody called the answer wrong and nobody named another class."""
    named = {label for label in labels if label is not None}
    return UNNAMED in named and not named - {UNNAMED, item.predicted} and len(labels) < SPLIT_OPINIONS


def _is_tied(named: list[str]) -> bool:
    """Says whether no label has more votes than every other."""
    top = Counter(named).most_common(2)
    return len(top) > 1 and top[0][1] == top[1][1]


def list_days_with_sample(storage: Storage, model: str, kind: str, population: str = "live") -> list[str]:
    """Lists the days that have a sample of this kind, newest first."""
    days = [day for f in storage.folders(layout.samples(model, population)) if (day := layout.day_of(f))]
    return [d for d in sorted(days, reverse=True) if storage.exists(layout.sample_document(model, d, kind, population))
            or listed.is_any(storage, model, d, kind, population)]
