"""What waits for a person: batches of a sample's items, handed out so that no two people get the same batch.

Everything lies beside `sample.json`, so all replicas agree: `batch-<n>.json` says who holds which items until when and
is created exclusively; `answer-<n>-<k>.json` says what was answered of it. Labels themselves take the durable path of
the service; the answers here only say what need not be asked again, without waiting for the shipper.

An item waits while it has fewer opinions than wanted and no unexpired batch holds it. Wanted are one (or, for the
sample's hash-chosen share, `judges`), and one more, up to three, while the opinions differ. Only the first opinion has
a selection probability; nobody is asked twice about one item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from contract import clock, jsonio, layout, samples
from contract.errors import AlreadyExists, NotFound, UsageError
from contract.labels import normalise
from contract.samples import Sample
from contract.sequence import NumberedDocuments
from contract.stores.store import Storage
from inference.labelling.documents import Answers, Batch, BatchHolder, BatchItem
from inference.labelling.items import DrawnItems, Item

HOLD_MINUTES = 30
SPLIT_OPINIONS = 3
SECOND_OPINION = "second-opinion"


class Judged(NamedTuple):
    """Judgements that share a selection probability (None: second opinions) and a strategy."""

    p: float | None
    strategy: str
    judgements: list[dict[str, str]]


class Queue:
    """The waiting items of one sample. Methods read the store, so callers on an event loop use threads.

    Threads may share it without a lock: what is known only grows, readers take a snapshot, and who is first is decided
    by the store.
    """

    def __init__(self, storage: Storage, sample: Sample) -> None:
        self.storage, self.sample = storage, sample
        self.folder = layout.sample(sample.model, sample.day, sample.kind)
        self._batches = NumberedDocuments(storage, layout.batches(sample.model, sample.day, sample.kind))
        self._drawn = DrawnItems(storage, sample)
        self._known: dict[str, Any] = {}

    # -- what is there ----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Reads the batches and answers that are new; those read before never change."""
        for entry in self.storage.list(self.folder):
            name = entry.key.removeprefix(self.folder).removesuffix(".json")
            if name != "sample" and name not in self._known:
                form = Batch if name.startswith("batch-") else Answers
                self._known[name] = form.load(self.storage, entry.key)

    def batches(self) -> dict[int, Batch]:
        """All batches by number."""
        return {int(n.partition("-")[2]): d for n, d in list(self._known.items()) if isinstance(d, Batch)}

    def answered(self, n: int) -> dict[str, str | None]:
        """What was answered of batch n so far; the last word counts."""
        return self._answers().get(n, {})

    def _answers(self) -> dict[int, dict[str, str | None]]:
        """Batch number -> prediction id -> the last word."""
        numbered = sorted((int(n), int(k), d) for name, d in list(self._known.items()) if isinstance(d, Answers)
                          for _, n, k in [name.split("-")])
        found: dict[int, dict[str, str | None]] = {}
        for n, _, document in numbered:
            found.setdefault(n, {}).update(document.answers)
        return found

    def opinions(self) -> dict[str, dict[tuple[str, str, str], str | None]]:
        """Prediction id -> person -> their label (None: could not say)."""
        found: dict[str, dict[tuple[str, str, str], str | None]] = {}
        answers = self._answers()
        for n, batch in self.batches().items():
            for prediction_id, label in answers.get(n, {}).items():
                found.setdefault(prediction_id, {})[_person(batch.holder)] = label
        return found

    def open_batches(self) -> dict[int, Batch]:
        """Batches that are neither expired nor answered in full."""
        now, answers = clock.iso(clock.now()), self._answers()
        return {n: b for n, b in self.batches().items()
                if b.expires_at > now and len(answers.get(n, {})) < len(b.items)}

    def wanted(self, prediction_id: str, labels: Iterable[str | None]) -> int:
        """How many opinions an item is to get, given those it has."""
        named = [label for label in labels if label is not None]
        base = samples.opinions(self.sample, prediction_id)
        return max(base, min(len(named) + 1, SPLIT_OPINIONS)) if len(set(named)) > 1 and _tied(named) else base

    def waiting(self, holder: BatchHolder | None = None) -> list[tuple[Item, int]]:
        """Items to hand out (to this holder), each with the opinions it has; first opinions first."""
        opinions, answers = self.opinions(), self._answers()
        held = {i.prediction_id for n, b in self.open_batches().items() for i in b.items
                if i.prediction_id not in answers.get(n, {})}
        found = []
        for prediction_id, item in self._drawn.all().items():
            given = opinions.get(prediction_id, {})
            count = sum(label is not None for label in given.values())
            asked_before = holder is not None and _person(holder) in given
            if item.image_sha256 is None or item.image_uri is None or prediction_id in held or asked_before:
                continue
            if count < self.wanted(prediction_id, given.values()):
                found.append((item, count))
        return sorted(found, key=lambda w: w[1])

    # -- handing out ------------------------------------------------------------------------------------------------

    def hand_out(self, holder: BatchHolder, size: int) -> tuple[int, Batch] | None:
        """A new batch for this holder, None when nothing waits. A lost race for the number looks again."""
        while True:
            self.refresh()
            after = max(self.batches(), default=0)
            chosen = self._chosen(self.waiting(holder), size)
            if not chosen:
                return None
            batch = self._batch(holder, chosen)
            try:
                n = self._batches.append(batch.to_dict(), after=after)
            except AlreadyExists:
                continue
            self._known[f"batch-{n}"] = batch
            return n, batch

    def _chosen(self, waiting: list[tuple[Item, int]], size: int) -> list[tuple[Item, int]]:
        present = [w for w in waiting[:4 * size + 100] if self._shown(w[0])]
        if self.sample.kind == "review" and present:
            label = Counter(w[0].predicted for w in present).most_common(1)[0][0]
            present = [w for w in present if w[0].predicted == label]
        return present[:size]

    def _shown(self, item: Item) -> bool:
        """An erased picture cannot be judged."""
        return not self.storage.exists(layout.erasure(item.image_sha256 or ""))

    def _batch(self, holder: BatchHolder, chosen: list[tuple[Item, int]]) -> Batch:
        now = clock.now()
        items = [BatchItem(prediction_id=i.prediction_id, image=i.image_sha256, p=None if count else i.p)
                 for i, count in chosen]
        return Batch(holder=holder, created_at=clock.iso(now),
                     expires_at=clock.iso(now + timedelta(minutes=HOLD_MINUTES)), items=items,
                     predicted=chosen[0][0].predicted if self.sample.kind == "review" else None)

    def batch(self, n: int) -> Batch:
        """Batch n; NotFound when it was never handed out."""
        self.refresh()
        found = self.batches().get(n)
        if found is None:
            raise NotFound(f"{self.sample.kind} batch {n} of {self.sample.model!r} on {self.sample.day} was never "
                           f"handed out.")
        return found

    def mine(self, holder: BatchHolder) -> tuple[int, Batch] | None:
        """The open batch of this person, to go on where they stopped."""
        self.refresh()
        return next(((n, b) for n, b in self.open_batches().items() if _person(b.holder) == _person(holder)), None)

    # -- answers ----------------------------------------------------------------------------------------------------

    def judgements(self, n: int, answers: dict[str, str | None]) -> list[Judged]:
        """The new judgements among the answers, grouped by their probability.

        An answer given before is dropped, so that a form sent twice writes once. UsageError names a foreign item.
        """
        batch, before = self.batch(n), self.answered(n)
        groups: dict[float | None, list[dict[str, str]]] = {}
        for prediction_id, label in answers.items():
            item = batch.item(prediction_id)
            if item is None:
                raise UsageError(f"batch {n} does not hold the prediction {prediction_id!r}.")
            if label is not None and before.get(prediction_id) != label:
                groups.setdefault(item.p, []).append({"prediction_id": prediction_id, "label": label})
        return [Judged(p, SECOND_OPINION if p is None else self.sample.strategy, j) for p, j in groups.items()]

    def record(self, n: int, answers: dict[str, str | None]) -> None:
        """Notes what was answered, after its labels are durable: a crash between the two asks again, loses nothing."""
        batch = self.batch(n)
        before = self.answered(n)
        new = {i: label for i, label in answers.items() if i not in before or before[i] != label}
        if not new:
            return
        document = Answers(holder=batch.holder, at=clock.iso(clock.now()), answers=new)
        pattern = layout.answers(self.sample.model, self.sample.day, self.sample.kind, n)
        k = NumberedDocuments(self.storage, pattern).add(document.to_dict())
        self._known[f"answer-{n}-{k}"] = document

    def progress(self) -> dict[str, int]:
        """How many items were asked, answered (by anybody), and wait."""
        answered = {i for i, given in self.opinions().items() if any(v is not None for v in given.values())}
        asked = self._drawn.all()
        return {"asked": len(asked), "answered": len(answered & set(asked)), "waiting": len(self.waiting())}


def _person(holder: BatchHolder) -> tuple[str, str, str]:
    return holder.actor, holder.labeler, holder.visitor


def _tied(named: list[str]) -> bool:
    """Whether no label has more votes than every other."""
    top = Counter(named).most_common(2)
    return len(top) > 1 and top[0][1] == top[1][1]


def days_with_sample(storage: Storage, model: str, kind: str) -> list[str]:
    """Days that have a sample of this kind, newest first."""
    found = [day for f in storage.folders(layout.samples(model)) if (day := layout.day_of(f))]
    return [d for d in sorted(found, reverse=True) if storage.exists(layout.sample_document(model, d, kind))]


def parse_answers(answers: Any) -> dict[str, str | None]:
    """`[{"prediction_id", "label"}]` -> {id: label}; a null label says: cannot tell. UsageError says what is wrong."""
    if not isinstance(answers, list) or not all(isinstance(a, dict) and isinstance(a.get("prediction_id"), str)
                                                for a in answers):
        raise UsageError('expected "answers" as a list of {"prediction_id", "label"}, got '
                         f"{jsonio.dumps(answers)[:80].decode(errors='replace')}.")
    return {a["prediction_id"]: None if a.get("label") is None else normalise(a["label"]) for a in answers}
