"""The label rows of a day, in groups by prediction: rules 3 and 4 for the regular ones, on numpy columns.

A prediction is regular when its label rows are all valid and known, none withdrawn, none a duplicate or superseded, none
a `≠`: all of them are votes. The others are irregular (`LabelGroups.irregular`) and left to the full rules in sql.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from contract.counts import EARLIEST, ORIGINS, ROUNDING, UNNAMED, WEIGHT_SCALE
from jobs.engines.arrays import (
    NULL,
    Words,
    booleans,
    find_starts,
    join_chunks,
    number_groups,
    numbers,
    pack,
    sizes_of,
    sort,
)
from jobs.engines.embedded.arrays import KeyIndex, are_same_ids, find_possible_repeats
from jobs.engines.embedded.scores import CodedScores
from jobs.engines.embedded.sql import OK
from jobs.engines.scores import LabelerScores

IMPORT = ORIGINS.index("import")
Weights: TypeAlias = Mapping[str, int] | LabelerScores  # of labelers


@dataclass
class LabelRows:
    """The label rows that have an id, a column each; `key` is what they meet by."""

    ids: pa.StringArray
    key: np.ndarray  # uint64
    words: Words  # of labels and labelers
    label: np.ndarray  # code
    labeler: np.ndarray  # code
    t: np.ndarray  # us since 1970
    known: np.ndarray  # us since 1970
    state: np.ndarray
    origin: np.ndarray  # class
    mark: np.ndarray  # a number that rows of one label_id share; rows without one share it when their times are equal
    withdraws: np.ndarray
    impossible: np.ndarray  # which hold a value that cannot be
    saw: np.ndarray | None = None  # 1, 0, NULL; None: no file has the column
    probability: np.ndarray | None = None  # NaN for null; None: no file has the column

    @cached_property
    def unnamed(self) -> np.ndarray:
        """Which rows say `≠` (rule 4a)."""
        return (self.label == self.words.code(UNNAMED)) & (self.label != NULL)

    @classmethod
    def of(cls, table: pa.Table) -> "LabelRows":
        """Takes the rows from what `sql.select_label_rows` gave."""
        words = Words.of(table["label"], table["labeler"])
        size, names = table.num_rows, set(table.column_names)
        t = numbers(table["t"])
        impossible = t < EARLIEST
        if "probability" in names:
            p = numbers(table["probability"])  # a null says nothing, unlike NaN
            impossible |= ~((p >= -ROUNDING) & (p <= 1 + ROUNDING))
        return cls(
            ids=join_chunks(table["id"]), key=numbers(table["h"]).astype(np.uint64, copy=False), words=words,
            label=words.codes(table["label"]), labeler=words.codes(table["labeler"]), t=t,
            known=numbers(table["known"]) if "known" in names else t, state=numbers(table["state"]),
            origin=numbers(table["class"]) if "class" in names else np.full(size, IMPORT, np.int8),
            mark=numbers(table["mark"]),
            withdraws=numbers(table["withdraws"], False) if "withdraws" in names else np.zeros(size, bool),
            impossible=impossible,
            saw=booleans(table["saw"]) if "saw" in names else None,
            probability=numbers(table["probability"], np.nan) if "probability" in names else None)


@dataclass
class Consensus:
    """What the votes on each prediction came to; one more place at the end, for predictions without label rows."""

    label: np.ndarray  # code; NULL without votes
    origin: np.ndarray  # class; NULL without votes
    split: np.ndarray  # int8; NULL without votes
    saw: np.ndarray  # int8; NULL for null
    probability: np.ndarray | None = None  # NaN for null; None: no file has the column

    @classmethod
    def empty(cls, groups: int, has_probability: bool) -> "Consensus":
        """Makes the consensus of `groups` predictions without votes."""
        origin, split, saw = (np.full(groups + 1, NULL, np.int8) for _ in range(3))
        probability = np.full(groups + 1, np.nan) if has_probability else None
        return cls(np.full(groups + 1, NULL, np.int32), origin, split, saw, probability)


@dataclass
class Tally:
    """Votes by (prediction, label) of the regular predictions with several rows, in this order."""

    group: np.ndarray
    label: np.ndarray  # code
    n: np.ndarray


@dataclass
class LabelGroups:
    """Label rows of one prediction each."""

    rows: LabelRows
    index: KeyIndex  # the rows by their key
    key: np.ndarray
    size: np.ndarray
    first: np.ndarray  # a row of each
    of_row: np.ndarray  # the group of each row
    irregular: np.ndarray  # which need the full rules
    consensus: Consensus
    tally: Tally = field(default_factory=lambda: Tally(*(np.zeros(0, np.int64) for _ in range(3))))

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Returns the groups of these keys, which have one."""
        return self.of_row[self.index.find(keys)]

    def find_unnamed(self) -> np.ndarray:
        """Returns the keys of the predictions that a `≠` judges."""
        return self.key[np.unique(self.of_row[self.rows.unnamed])]


def group_rows(rows: LabelRows, weights: Weights, in_order: bool = False) -> LabelGroups | None:
    """Groups the rows by prediction, with the consensus of the regular ones; None when two ids share a key.

    With `in_order` the times of a regular prediction's rows differ: ties need the columns that only the full rules read.
    """
    index = KeyIndex(rows.key)
    first, of_row = number_groups(index.chosen)
    size = np.bincount(of_row, minlength=len(first))
    irregular = np.zeros(len(first), bool)
    irregular[of_row[(rows.state != OK) | rows.withdraws | rows.unnamed]] = True
    groups = LabelGroups(rows, index, rows.key[first], size, first, of_row, irregular,
                         Consensus.empty(len(first), rows.probability is not None))
    several = np.flatnonzero(size.take(of_row) > 1)
    several = several[sort(of_row[several])[0]]
    if not are_same_ids(rows.ids, several, rows.ids, first[of_row[several]]):
        return None
    irregular[of_row[_find_irregular_rows(rows, several, of_row[several])]] = True
    if in_order:
        irregular[of_row[several[find_possible_repeats(of_row[several], rows.t[several])]]] = True
    _resolve_single(groups)
    _resolve_several(groups, several[~irregular[of_row[several]]], weights)
    return groups


def _find_irregular_rows(rows: LabelRows, several: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Finds rows that may be duplicates, or superseded, or tie for the earliest deciding vote where that matters.

    `several` are the rows that are not alone in their group, `group` is the group of each.
    """
    same = [find_possible_repeats(group, rows.mark[several]),
            find_possible_repeats(group, rows.origin[several], rows.labeler[several])]
    if rows.probability is not None:
        same.append(find_possible_repeats(group, rows.origin[several], rows.t[several]))
    return several[np.concatenate(same)]


def _resolve_single(groups: LabelGroups) -> None:
    """Sets the consensus where there is one vote: what it says."""
    rows, consensus = groups.rows, groups.consensus
    where = np.flatnonzero((groups.size == 1) & ~groups.irregular)
    row = groups.first[where]
    consensus.label[where] = rows.label[row]
    consensus.origin[where] = rows.origin[row]
    consensus.split[where] = 0
    if rows.saw is not None:
        consensus.saw[where] = rows.saw[row]
    if rows.probability is not None and consensus.probability is not None:
        consensus.probability[where] = rows.probability[row]


def _resolve_several(groups: LabelGroups, votes: np.ndarray, weights: Weights) -> None:
    """Sets the consensus where there are several votes (rule 4); `votes` are rows, those of a group together."""
    if not len(votes):
        return
    rows, consensus = groups.rows, groups.consensus
    group = groups.of_row[votes]
    starts = find_starts(group)
    highest = np.minimum.reduceat(rows.origin[votes], starts)
    deciding = rows.origin[votes] == np.repeat(highest, sizes_of(starts, len(votes)))
    if not deciding.all():
        votes, group = votes[deciding], group[deciding]
        starts = find_starts(group)
    where = group[starts]
    groups.tally, consensus.label[where] = _choose_labels(rows, votes, group, weights)
    consensus.origin[where] = highest
    consensus.split[where] = sizes_of(find_starts(groups.tally.group), len(groups.tally.group)) > 1
    if rows.saw is not None:
        saw = rows.saw[votes]
        some = np.where(np.minimum.reduceat(saw, starts) == NULL, NULL, 0)
        consensus.saw[where] = np.where(np.maximum.reduceat(saw, starts) == 1, 1, some)
    if rows.probability is not None and consensus.probability is not None:
        t = rows.t[votes]
        earliest = t == np.repeat(np.minimum.reduceat(t, starts), sizes_of(starts, len(votes)))
        consensus.probability[group[earliest]] = rows.probability[votes[earliest]]


def _choose_labels(rows: LabelRows, votes: np.ndarray, group: np.ndarray, weights: Weights) -> tuple[Tally, np.ndarray]:
    """Returns (the tally, each group's label: most votes by weight, then the newest, then the first by its bytes)."""
    order, _ = sort(pack([group, rows.label[votes]])[0])
    votes, group = votes[order], group[order]
    label = rows.label[votes]
    first = find_starts(group, label)
    n, newest = sizes_of(first, len(votes)), np.maximum.reduceat(rows.t[votes], first)
    tally = Tally(group[first], label[first], n)
    if isinstance(weights, LabelerScores):
        weight = CodedScores.of(weights, rows.words).add_up(rows.labeler[votes], label, group, tally.label, tally.group)
    else:
        weight = n if not weights else np.add.reduceat(_weights_by_code(rows, weights)[rows.labeler[votes]], first)
    starts = find_starts(tally.group)
    size = sizes_of(starts, len(first))
    best = weight == np.repeat(np.maximum.reduceat(weight, starts), size)
    least = np.iinfo(np.int64).min
    best &= newest == np.repeat(np.maximum.reduceat(np.where(best, newest, least), starts), size)
    places = np.flatnonzero(best)
    return tally, tally.label[places[find_starts(tally.group[places])]]


def _weights_by_code(rows: LabelRows, weights: Mapping[str, int]) -> np.ndarray:
    """Returns the weight of each labeler's code, and at the end that of votes without a labeler."""
    found = [weights.get(name, WEIGHT_SCALE) for name in rows.words.texts.to_pylist()]
    return np.array([*found, WEIGHT_SCALE], np.int64)


def put_irregular(groups: LabelGroups, resolved: pa.Table) -> None:
    """Sets the consensus of the irregular predictions: columns h, label, split, class, saw, probability, by h."""
    consensus = groups.consensus
    where = groups.find(numbers(resolved["h"]).astype(np.uint64, copy=False))
    consensus.label[where] = groups.rows.words.codes(resolved["label"])
    consensus.origin[where] = numbers(resolved["class"], NULL)
    consensus.split[where] = booleans(resolved["split"])
    consensus.saw[where] = booleans(resolved["saw"])
    if consensus.probability is not None:
        consensus.probability[where] = numbers(resolved["probability"], np.nan)
