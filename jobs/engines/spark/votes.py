"""Rules 3 and 4 on the label rows of a piece of a day, as numpy columns (docs/design.md#the-rules-of-counting).

A row that is alone on its prediction needs no order. The others are sorted once, by prediction and time, and ties of time
by all other columns; then every rule is a comparison with the row before or after.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.engines.spark.arrays import NULL

# What a label row ends as. The first four are known before its prediction's other rows are looked at.
OK, INVALID, MISFILED, FUTURE, OTHER_MODEL, DUPLICATE, ORPHAN, SUPERSEDED, WITHDRAWN, VOTE = range(10)
ENDINGS = {"invalid": INVALID, "misfiled": MISFILED, "future": FUTURE, "other_model": OTHER_MODEL, "duplicate": DUPLICATE,
           "orphan": ORPHAN, "superseded": SUPERSEDED, "withdrawn": WITHDRAWN, "vote": VOTE}


@dataclass
class LabelRows:
    """Label rows, a column each; `number` says which prediction a row is on, NULL: none."""

    number: Any
    status: Any  # uint8
    t: Any  # us since 1970
    known: Any  # us since 1970
    label: Any  # code
    labeler: Any  # code
    origin: Any  # place in ORIGINS
    label_id: Callable[[Any], Any]  # rows -> numbers; NULL for null
    withdraws: Any
    saw: Any  # 1, 0, NULL
    weight: Any  # of the labeler's vote
    probability: Any  # NaN for null
    columns: Sequence[Callable[[Any], Any]]  # rows -> ranks of another column, in the order that settles ties of time


@dataclass
class Consensus:
    """What the votes on each prediction came to, by its number; the last place is for a prediction without any."""

    label: Any
    origin: Any
    split: Any
    saw: Any
    probability: Any

    @classmethod
    def empty(cls, many: int) -> "Consensus":
        """Nobody has voted on any of so many predictions."""
        return cls(np.full(many + 1, NULL, np.int32), *(np.full(many + 1, NULL, np.int8) for _ in range(3)),
                   np.full(many + 1, np.nan))

    def put(self, number: Any, label: Any, origin: Any, split: Any, saw: Any, probability: Any) -> None:
        """Sets what is known of some predictions."""
        for column, values in zip((self.label, self.origin, self.split, self.saw, self.probability),
                                  (label, origin, split, saw, probability), strict=True):
            column[number] = values


@dataclass
class Tally:
    """Deciding votes by prediction and label, in this order, of predictions with several candidates."""

    number: Any
    label: Any
    n: Any


def decide(rows: LabelRows, has_prediction: Any) -> tuple[Consensus, Tally]:
    """Ends the status of every row that is OK yet, in place. `has_prediction` says it by number."""
    open_ = np.flatnonzero(rows.status == OK)
    several = np.bincount(rows.number[open_], minlength=len(has_prediction))[rows.number[open_]] > 1
    consensus = Consensus.empty(len(has_prediction))
    _alone(rows, open_[~several], has_prediction, consensus)
    return consensus, _together(rows, open_[several], has_prediction, consensus)


def _alone(rows: LabelRows, of: Any, has_prediction: Any, consensus: Consensus) -> None:
    ending = np.where(rows.withdraws[of], WITHDRAWN, VOTE)
    rows.status[of] = np.where(has_prediction[rows.number[of]], ending, ORPHAN)
    votes = of[rows.status[of] == VOTE]
    consensus.put(rows.number[votes], rows.label[votes], rows.origin[votes], 0, rows.saw[votes], rows.probability[votes])


def _together(rows: LabelRows, of: Any, has_prediction: Any, consensus: Consensus) -> Tally:
    of, tie = in_time(rows, of)
    label_id = rows.label_id(of)
    duplicate = _same_label_id(rows.number[of], label_id) | (_same_in_all(rows, of, tie) & (label_id == NULL))
    rows.status[of[duplicate]] = DUPLICATE
    of = of[~duplicate]
    rows.status[of] = np.where(has_prediction[rows.number[of]], VOTE, ORPHAN)
    of = of[rows.status[of] == VOTE]
    later = _said_again(rows, of)
    rows.status[of[later]] = SUPERSEDED
    rows.status[of[~later & rows.withdraws[of]]] = WITHDRAWN
    return _consensus(rows, of[rows.status[of] == VOTE], consensus)


def in_time(rows: LabelRows, of: Any) -> tuple[Any, Any]:
    """(the rows by number, time and, where these are equal, all other columns; in that order the place among rows of
    one number and time, 0 for a row that shares its with none; rows that are equal in everything share a place)."""
    of = of[np.lexsort((rows.t[of], rows.number[of]))]
    with_last = np.zeros(len(of), bool)
    with_last[1:] = (rows.number[of[1:]] == rows.number[of[:-1]]) & (rows.t[of[1:]] == rows.t[of[:-1]])
    tied = with_last.copy()
    tied[:-1] |= with_last[1:]
    place = np.zeros(len(of), np.int64)
    at = np.flatnonzero(tied)
    if len(at):
        ranks = np.stack([column(of[at]) for column in rows.columns])
        order = np.lexsort((*ranks[::-1], rows.t[of[at]], rows.number[of[at]]))
        of[at], ranks = of[at[order]], ranks[:, order]
        place[at] = 1 + np.cumsum(np.append(False, (ranks[:, 1:] != ranks[:, :-1]).any(axis=0)))
    return of, place


def _same_label_id(number: Any, label_id: Any) -> Any:
    """Which rows have the label_id of an earlier row on the same prediction."""
    found = np.zeros(len(number), bool)
    with_id = np.flatnonzero(label_id != NULL)
    found[with_id] = same_as_before(number[with_id], label_id[with_id])
    return found


def same_as_before(*columns: Any) -> Any:
    """Which rows have, in all columns, the values of an earlier row."""
    order = np.lexsort(columns[::-1])
    same = np.ones(max(len(order) - 1, 0), bool)
    for column in columns:
        same &= column[order[1:]] == column[order[:-1]]
    found = np.zeros(len(order), bool)
    found[order[1:][same]] = True
    return found


def _same_in_all(rows: LabelRows, of: Any, place: Any) -> Any:
    """Which rows are equal to the row before in every column."""
    found = np.zeros(len(of), bool)
    same = (place[1:] > 0) & (place[1:] == place[:-1])
    found[1:] = same & (rows.number[of[1:]] == rows.number[of[:-1]]) & (rows.t[of[1:]] == rows.t[of[:-1]])
    return found


def _said_again(rows: LabelRows, of: Any) -> Any:
    """Which rows are followed by one of the same person, prediction and origin class."""
    back = of[::-1]
    return same_as_before(rows.number[back], rows.origin[back], rows.labeler[back])[::-1]


def _consensus(rows: LabelRows, votes: Any, consensus: Consensus) -> Tally:
    """Rule 4, of votes in the order of `in_time`."""
    starts, lengths = runs(rows.number[votes])
    highest = np.minimum.reduceat(rows.origin[votes], starts) if len(votes) else rows.origin[votes]
    votes = votes[rows.origin[votes] == np.repeat(highest, lengths)]
    starts, lengths = runs(rows.number[votes])
    tally, label, split = _majority(rows, votes)
    first = votes[starts]
    consensus.put(rows.number[first], label, rows.origin[first], split, _saw(rows.saw[votes], starts), rows.probability[first])
    return tally


def _majority(rows: LabelRows, votes: Any) -> tuple[Tally, Any, Any]:
    """(the tally, the label of each prediction, whether it is split), predictions in their order."""
    votes = votes[np.lexsort((rows.label[votes], rows.number[votes]))]
    starts, lengths = runs(rows.number[votes], rows.label[votes])
    tally = Tally(rows.number[votes[starts]], rows.label[votes[starts]], lengths)
    if not len(votes):
        return tally, tally.label, tally.n
    weight, newest = np.add.reduceat(rows.weight[votes], starts), np.maximum.reduceat(rows.t[votes], starts)
    best = np.lexsort((tally.label, ~newest, ~weight, tally.number))  # ~x falls as x grows, and never overflows
    starts, lengths = runs(tally.number)
    return tally, tally.label[best[starts]], (lengths > 1).astype(np.int8)


def _saw(saw: Any, starts: Any) -> Any:
    """True when any is true, else null when any is null, else false."""
    if not len(saw):
        return saw
    least = np.minimum.reduceat(saw, starts)
    return np.where(np.maximum.reduceat(saw, starts) == 1, 1, least).astype(np.int8)


def runs(*columns: Any) -> tuple[Any, Any]:
    """(where runs of equal rows begin, how long they are)."""
    first = np.ones(len(columns[0]), bool)
    first[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    starts = np.flatnonzero(first)
    return starts, np.diff(starts, append=len(first))
