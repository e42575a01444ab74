"""The strongest suspects of a model, split by split, as its report and a page of the service show them (docs/suspects.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from contract import clock
from contract.dataset_record import SPLITS
from contract.review import listed
from contract.review.suspects import Pair, Said, Suspect, Suspects, list_open
from contract.stores.store import Storage
from contract.texts.figures import write_count, write_number


class Row(NamedTuple):
    """A suspect, and what people said of it since."""

    suspect: Suspect
    state: str


class Strongest(NamedTuple):
    """What a document lists, without erased pictures: how many, how many of these people judged since and confirmed.

    `elsewhere`: how many were taken over from lists of other datasets. `hidden`: left out because they wait for a blind answer.
    `by_split`: split -> rows, the likeliest mistake first; what people confirmed is none of them.
    """

    document: Suspects
    total: int
    elsewhere: int
    answered: int
    confirmed: int
    hidden: int
    by_split: dict[str, list[Row]]

    def describe(self) -> str:
        """Says in a sentence what was found, and what people said since."""
        of = f"of dataset {self.document.dataset}"
        judged = f"{write_number(self.document.judged)} of {write_count(self.document.rows, 'label')} could be judged"
        own = self.total - self.elsewhere
        if own:
            found = f"{write_count(own, 'label')} {of} {'is' if own == 1 else 'are'} likely wrong ({judged})"
        else:
            found = f"No label {of} is likely wrong; {judged}"
        others = "1 was found in another dataset" if self.elsewhere == 1 else \
            f"{write_number(self.elsewhere)} were found in other datasets"
        since = f"people judged {write_number(self.answered)} since" if self.answered else "nobody judged one since"
        confirmed = f", and confirmed {write_number(self.confirmed)}" if self.answered else ""
        return f"{found}{f'; {others}' if self.elsewhere else ''}{f'; {since}{confirmed}' if self.total else ''}."


def choose_strongest(found: Suspects, said: Mapping[Pair, Said], most: int, erased: Collection[str] = (),
                     hidden: Collection[Pair] = ()) -> Strongest:
    """Chooses up to `most` of each split that people did not confirm; erased and hidden pictures are not shown."""
    there = [one for one in found.suspects if one.image_sha256 not in erased]
    confirmed = len(there) - len(still := list_open(there, said))
    shown = [Row(one, describe_state(one, said)) for one in still if one.pair not in hidden]
    order = {split: n for n, split in enumerate(SPLITS)}
    splits = sorted({row.suspect.split for row in shown}, key=lambda split: (order.get(split, len(order)), split))
    elsewhere = sum(one.dataset != found.dataset for one in there)
    return Strongest(found, len(there), elsewhere, sum(one.pair in said for one in there), confirmed, len(still) - len(shown),
                     {split: [row for row in shown if row.suspect.split == split][:most] for split in splits})


def describe_state(one: Suspect, said: Mapping[Pair, Said]) -> str:
    """What people said of a suspect since: open, confirmed, or what they called it."""
    words = said.get(one.pair)
    if words is None:
        return "open"
    return "confirmed" if words.confirms else f"people said {', '.join(dict.fromkeys(words.others)) or one.given}"


def find_waiting(storage: Storage, model: str, suspects: Iterable[Suspect], label_days: int) -> set[Pair]:
    """Finds the suspects that were sent to people and wait for a blind answer: who may give it must not know of them.

    `label_days`: age of a prediction at which its labels are refused, so that nobody is asked any more.
    """
    oldest = clock.day_of(clock.now() - timedelta(days=label_days + 1))
    asked = [one for one in suspects if one.prediction_id is not None and one.day >= oldest]
    waiting: set[Pair] = set()
    for day in sorted({one.day for one in asked}):
        if blind := listed.read(storage, model, day, blind=True):
            answered = listed.find_answered_blind(storage, day)
            waiting |= {one.pair for one in asked if one.day == day and one.prediction_id in blind.keys() - answered}
    return waiting
