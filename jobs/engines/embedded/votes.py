"""The label rows of a day, in groups by prediction: rules 3 and 4 for the plain ones, on numpy columns.

Plain is a prediction whose label rows are all valid and known, none withdrawn, none a duplicate or superseded: all of
them are votes. What is odd about the rest (`LabelGroups.odd`) is left to the full rules in `embedded_sql.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contract.counts import ORIGINS, WEIGHT_SCALE
from jobs.engines.embedded.arrays import (
    NULL,
    Texts,
    as_array,
    in_order,
    look_alike,
    numbers,
    pack,
    same_ids,
    sizes_of,
    starts_of,
    texts_of,
    truths,
)
from jobs.engines.embedded.sql import OK

IMPORT = ORIGINS.index("import")


@dataclass
class LabelRows:
    """The label rows that have an id, a column each; `key` is what they meet by."""

    ids: Any
    key: Any
    words: Texts
    label: Any
    labeler: Any
    t: Any
    known: Any
    state: Any
    origin: Any  # class
    mark: Any  # a number that rows of one label_id share; rows without one share it when their times are equal
    withdraws: Any
    saw: Any = None
    probability: Any = None

    @classmethod
    def of(cls, table: Any) -> "LabelRows":
        """The rows of what `embedded_sql.label_rows` gave."""
        words = texts_of(table["label"], table["labeler"])
        size, names = table.num_rows, set(table.column_names)
        t = numbers(table["t"])
        return cls(
            as_array(table["id"]), numbers(table["h"]).astype(np.uint64, copy=False), words, words.codes(table["label"]),
            words.codes(table["labeler"]), t, numbers(table["known"]) if "known" in names else t, numbers(table["state"]),
            numbers(table["class"]) if "class" in names else np.full(size, IMPORT, np.int8), numbers(table["mark"]),
            numbers(table["withdraws"], False) if "withdraws" in names else np.zeros(size, bool),
            truths(table["saw"]) if "saw" in names else None,
            numbers(table["probability"], np.nan) if "probability" in names else None)


@dataclass
class Consensus:
    """What the votes on each prediction came to; one more place at the end, for predictions without label rows."""

    label: Any  # code; NULL without votes
    origin: Any  # class; NULL without votes
    split: Any  # int8; NULL without votes
    saw: Any  # int8; NULL for null
    probability: Any = None  # NaN for null

    @classmethod
    def empty(cls, groups: int, has_probability: bool) -> "Consensus":
        """Nobody has voted."""
        small = [np.full(groups + 1, NULL, np.int8) for _ in range(3)]
        return cls(np.full(groups + 1, NULL, np.int32), *small, np.full(groups + 1, np.nan) if has_probability else None)


@dataclass
class Tally:
    """Votes by (prediction, label) of the plain predictions with several rows, in this order."""

    group: Any
    label: Any
    n: Any


@dataclass
class LabelGroups:
    """Label rows of one prediction each, in the order of the key."""

    rows: LabelRows
    key: Any
    size: Any
    first: Any  # a row of each
    of_row: Any  # the group of each row
    odd: Any
    consensus: Consensus
    tally: Tally = field(default_factory=lambda: Tally(*(np.zeros(0, np.int64) for _ in range(3))))


def group(rows: LabelRows, weights: Mapping[str, int]) -> LabelGroups | None:
    """The rows in groups, with the consensus of the plain ones; None when two ids share a key."""
    order, ordered = in_order(rows.key)
    starts = starts_of(ordered)
    size = sizes_of(starts, len(order))
    of_row = np.empty(len(order), np.int64)
    of_row[order] = np.repeat(np.arange(len(starts)), size)
    odd = np.zeros(len(starts), bool)
    odd[of_row[(rows.state != OK) | rows.withdraws]] = True
    first = order[starts]
    groups = LabelGroups(rows, ordered[starts], size, first, of_row, odd,
                         Consensus.empty(len(starts), rows.probability is not None))
    several = order[np.repeat(size > 1, size)]
    if not same_ids(rows.ids, several, rows.ids, first[of_row[several]]):
        return None
    odd[of_row[_odd_rows(rows, several, of_row[several])]] = True
    _single(groups)
    _several(groups, several[~odd[of_row[several]]], weights)
    return groups


def _odd_rows(rows: LabelRows, several: Any, group: Any) -> Any:
    """Rows that may be duplicates, or superseded, or tie for the earliest deciding vote where that says something."""
    same = [look_alike(group, rows.mark[several]),
            look_alike(group, rows.origin[several] + 1, rows.labeler[several] + 1)]
    if rows.probability is not None:
        same.append(look_alike(group, rows.origin[several] + 1, rows.t[several]))
    return several[np.concatenate(same)]


def _single(groups: LabelGroups) -> None:
    """The consensus of one row is what it says."""
    rows, found = groups.rows, groups.consensus
    where = np.flatnonzero((groups.size == 1) & ~groups.odd)
    row = groups.first[where]
    found.label[where], found.origin[where], found.split[where] = rows.label[row], rows.origin[row], 0
    if rows.saw is not None:
        found.saw[where] = rows.saw[row]
    if rows.probability is not None:
        found.probability[where] = rows.probability[row]


def _several(groups: LabelGroups, votes: Any, weights: Mapping[str, int]) -> None:
    """Rule 4 where there are several votes; `votes` are rows, those of a group together."""
    if not len(votes):
        return
    rows, found = groups.rows, groups.consensus
    group = groups.of_row[votes]
    starts = starts_of(group)
    highest = np.minimum.reduceat(rows.origin[votes], starts)
    deciding = rows.origin[votes] == np.repeat(highest, sizes_of(starts, len(votes)))
    if not deciding.all():
        votes, group = votes[deciding], group[deciding]
        starts = starts_of(group)
    where = group[starts]
    groups.tally, label = _majority(rows, votes, group, weights)
    found.label[where], found.origin[where] = label, highest
    found.split[where] = sizes_of(starts_of(groups.tally.group), len(groups.tally.group)) > 1
    if rows.saw is not None:
        saw = rows.saw[votes]
        some = np.where(np.minimum.reduceat(saw, starts) == NULL, NULL, 0)
        found.saw[where] = np.where(np.maximum.reduceat(saw, starts) == 1, 1, some)
    if rows.probability is not None:
        t = rows.t[votes]
        earliest = t == np.repeat(np.minimum.reduceat(t, starts), sizes_of(starts, len(votes)))
        found.probability[group[earliest]] = rows.probability[votes[earliest]]


def _majority(rows: LabelRows, votes: Any, group: Any, weights: Mapping[str, int]) -> tuple[Tally, Any]:
    """The tally, and each group's label: most votes by weight, then the newest, then the first by its bytes."""
    order, _ = in_order(pack([group, rows.label[votes]])[0])
    votes, group = votes[order], group[order]
    label = rows.label[votes]
    first = np.union1d(starts_of(group), starts_of(label))
    n, newest = sizes_of(first, len(votes)), np.maximum.reduceat(rows.t[votes], first)
    weight = n if not weights else np.add.reduceat(_weights(rows, weights)[rows.labeler[votes]], first)
    tally = Tally(group[first], label[first], n)
    starts = starts_of(tally.group)
    size = sizes_of(starts, len(first))
    best = weight == np.repeat(np.maximum.reduceat(weight, starts), size)
    least = np.iinfo(np.int64).min
    best &= newest == np.repeat(np.maximum.reduceat(np.where(best, newest, least), starts), size)
    places = np.flatnonzero(best)
    return tally, tally.label[places[starts_of(tally.group[places])]]


def _weights(rows: LabelRows, weights: Mapping[str, int]) -> Any:
    """The weight of each labeler's code, and of nobody's at the end."""
    found = [weights.get(name, WEIGHT_SCALE) for name in rows.words.words.to_pylist()]
    return np.array([*found, WEIGHT_SCALE], np.int64)


def put_odd(groups: LabelGroups, resolved: Any) -> None:
    """Takes over the consensus of the odd predictions: Arrow columns h, label, split, class, saw, probability, by h."""
    found, where = groups.consensus, np.searchsorted(groups.key, numbers(resolved["h"]).astype(np.uint64, copy=False))
    found.label[where] = groups.rows.words.codes(resolved["label"])
    found.origin[where] = numbers(resolved["class"], NULL)
    found.split[where], found.saw[where] = truths(resolved["split"]), truths(resolved["saw"])
    if found.probability is not None:
        found.probability[where] = numbers(resolved["probability"], np.nan)
