"""Blind votes as numpy columns, and what their agreement adds up to, in all and without each of a hundred groups of items."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

GROUPS = 100  # of a delete-a-group jackknife (Kott 2001): enough for a variance, few enough for ten thousand classes


@dataclass(frozen=True)
class Votes:
    """Items with one or more blind votes of one version, and an entry for each (item, label that was named).

    `item` (ascending), `label` and `count` are entries: the item's place, the label's code, how many people named it. The
    others are by item: code of the predicted class, weight > 0, and whether the confidence lies in the lower half.
    """

    classes: int
    item: np.ndarray
    label: np.ndarray
    count: np.ndarray
    predicted: np.ndarray
    weight: np.ndarray
    low: np.ndarray

    @cached_property
    def number(self) -> np.ndarray:
        """Votes of each item."""
        return np.bincount(self.item, self.count, len(self.predicted))

    @cached_property
    def hits(self) -> np.ndarray:
        """Votes of each item that name the predicted class."""
        return self._add_up(np.where(self.label == self.predicted[self.item], self.count, 0))

    def choose(self, among: np.ndarray, times: int) -> np.ndarray:
        """The ordered ways to draw `times` different ones `among` so many, for each element."""
        return np.prod([np.maximum(among - k, 0) for k in range(times)], axis=0, dtype=float)

    def share(self, ways: np.ndarray, times: int) -> np.ndarray:
        """`ways` of all ordered draws of `times` votes, by item; 0 where the item has fewer."""
        all_ways = self.choose(self.number, times)
        return np.where(all_ways > 0, ways / np.where(all_ways > 0, all_ways, 1), 0.0)

    def agreeing(self, times: int) -> np.ndarray:
        """Of each item the share of draws of `times` votes that all name one label."""
        return self.share(self._add_up(self.choose(self.count, times)), times)

    def _add_up(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.item, values, len(self.predicted))


@dataclass(frozen=True)
class Moments:
    """Weighted sums; row 0 over all items, row g over all but those of group g. Shapes (rows,) and (rows, classes).

    Of items: `items` their weight, `hits` where a vote names the predicted class. Of those with two votes or more (`paired`):
    `agree`, `both` (two votes name the predicted class), `paired_hits`. With three (`tripled`): `all_agree`, `rejected` (one vote
    names another class than the predicted one), `rejected_agree` (and two others agree). Of the less confident half of the
    paired: `low`, `low_agree`. By class: `predicted` and `predicted_hits` of the items predicted so, `paired_predicted`, its
    squares and `paired_predicted_agree`; `one`, `two`, `three`: one, two, three votes of a tripled item all name it; `low_votes`
    and `rejected_votes`: a vote of such an item names it.
    """

    items: np.ndarray
    hits: np.ndarray
    paired: np.ndarray
    agree: np.ndarray
    both: np.ndarray
    paired_hits: np.ndarray
    tripled: np.ndarray
    all_agree: np.ndarray
    rejected: np.ndarray
    rejected_agree: np.ndarray
    low: np.ndarray
    low_agree: np.ndarray
    predicted: np.ndarray
    predicted_hits: np.ndarray
    paired_predicted: np.ndarray
    paired_predicted_squared: np.ndarray
    paired_predicted_agree: np.ndarray
    one: np.ndarray
    two: np.ndarray
    three: np.ndarray
    low_votes: np.ndarray
    rejected_votes: np.ndarray
    sizes: tuple[float, float, float]  # Kish's, of items, paired and tripled ones

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.predicted.shape[1])


SUMS = [name for name in Moments.__dataclass_fields__ if name != "sizes"]


def collect_votes(classes: int, item: np.ndarray, label: np.ndarray, predicted: np.ndarray, probability: np.ndarray,
                  confidence: np.ndarray) -> Votes:
    """Votes from an entry (item, label) for each single vote, and of each item its prediction, its selection probability in
    (0, 1] and its confidence (NaN: none)."""
    key, count = np.unique(item * classes + label, return_counts=True)
    known = confidence[~np.isnan(confidence)]
    low = confidence < np.median(known) if len(known) else np.zeros(len(confidence), bool)
    return Votes(classes, key // classes, key % classes, count, predicted, 1.0 / probability, low)


def add_up(votes: Votes) -> Moments:
    """Adds the votes up, in all and without each group of items."""
    groups = max(min(GROUPS, len(votes.predicted)), 1)
    group, w = deal(len(votes.predicted), groups), votes.weight
    two, three = w * (votes.number >= 2), w * (votes.number >= 3)
    agree, low = votes.agreeing(2), two * votes.low
    hit, reject = votes.share(votes.hits, 1), votes.share(votes.number - votes.hits, 1)
    both = votes.share(votes.choose(votes.hits, 2), 2)
    of_item = [w, w * hit, two, two * agree, two * both, two * hit, three, three * votes.agreeing(3),
               three * reject, three * _reject_and_agree(votes), low, low * agree]
    scalars = [_leave_out(np.bincount(group, values, groups)[:, None])[:, 0] for values in of_item]
    k = votes.classes

    def by_class(group_of: np.ndarray, code: np.ndarray, values: np.ndarray) -> np.ndarray:
        return _leave_out(np.bincount(group_of * k + code, values, groups * k).reshape(groups, k))

    at, entry = votes.item, group[votes.item]
    of_prediction = [by_class(group, votes.predicted, values) for values in (w, w * hit, two, two**2, two * agree)]
    ones, twos, threes = (votes.choose(votes.count, t) / np.maximum(votes.choose(votes.number[at], t), 1) for t in (1, 2, 3))
    of_label = [by_class(entry, votes.label, values) for values in (
        three[at] * ones, three[at] * twos, three[at] * threes, low[at] * ones, three[at] * _reject_and_name(votes))]
    found = dict(zip(SUMS, [*scalars, *of_prediction, *of_label], strict=True))
    return Moments(**found, sizes=(_kish(w), _kish(two), _kish(three)))


def deal(items: int, groups: int) -> np.ndarray:
    """Returns the group of each item, 0, 1, …, all of one size: dealt in the order of a hash of the item's place (splitmix64).

    Every groups-th item would make groups alike where rows lie in an order, by class say, and the interval too narrow.
    """
    z = (np.arange(items, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found = np.empty(items, int)
    found[np.argsort(z ^ (z >> np.uint64(31)))] = np.arange(items) % groups
    return found


def _reject_and_agree(votes: Votes) -> np.ndarray:
    """Of each item the share of draws of three votes whose first names another class than the predicted, the others one."""
    same = votes.label == votes.predicted[votes.item]
    others = (votes.number - votes.hits)[votes.item] - np.where(same, 0, 2)
    ways = votes.choose(votes.count, 2) * np.maximum(others, 0)
    return votes.share(np.bincount(votes.item, ways, len(votes.predicted)), 3)


def _reject_and_name(votes: Votes) -> np.ndarray:
    """Of each entry the share of draws of two votes whose first names another class than the predicted, the second its label."""
    same = votes.label == votes.predicted[votes.item]
    others = (votes.number - votes.hits)[votes.item] - np.where(same, 0, 1)
    return votes.count * np.maximum(others, 0) / np.maximum(votes.choose(votes.number[votes.item], 2), 1)


def _leave_out(of_group: np.ndarray) -> np.ndarray:
    """The sum over all groups, then the sums without each."""
    total = of_group.sum(0, keepdims=True)
    return np.concatenate([total, total - of_group])


def _kish(weight: np.ndarray) -> float:
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0
