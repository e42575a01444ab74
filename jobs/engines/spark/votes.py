"""Rules 3 and 4 on the label rows of a part of a day, as numpy columns (docs/design.md#the-rules-of-counting).

A row that is alone on its prediction needs no order. The others are sorted once, by prediction and time, and ties of time
by all other columns; then every rule is a comparison with the row before or after.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.engines.arrays import NULL
from jobs.engines.spark.arrays import runs
from jobs.engines.spark.scores import Scoring

# What a label row ends as. The first four follow from the row alone.
OK, INVALID, MISFILED, FUTURE, OTHER_MODEL, DUPLICATE, ORPHAN, OTHER_ANSWER, SUPERSEDED, WITHDRAWN, VOTE = range(11)
ENDINGS = {"invalid": INVALID, "misfiled": MISFILED, "future": FUTURE, "other_model": OTHER_MODEL, "duplicate": DUPLICATE,
           "orphan": ORPHAN, "other_answer": OTHER_ANSWER, "superseded": SUPERSEDED, "withdrawn": WITHDRAWN, "vote": VOTE}


@dataclass
class LabelRows:
    """Label rows, a column each; `number` says which prediction a row is on, NULL: none."""

    number: np.ndarray
    status: np.ndarray  # uint8
    t: np.ndarray  # us since 1970
    known: np.ndarray  # us since 1970
    label: np.ndarray  # code
    labeler: np.ndarray  # code
    origin: np.ndarray  # place in ORIGINS
    label_id: Callable[[np.ndarray], np.ndarray]  # rows -> numbers; NULL for null
    withdraws: np.ndarray
    impossible: np.ndarray  # which hold a value that cannot be
    saw: np.ndarray  # 1, 0, NULL
    weight: np.ndarray  # of the labeler's vote
    probability: np.ndarray  # NaN for null
    unnamed: np.ndarray  # whether the label is `≠` (rule 4a)
    shown: np.ndarray  # code of shown_label; NULL for null and for a text without a code
    has_shown: np.ndarray  # whether shown_label is not null
    # rows -> their ranks in another column; the columns in the order that settles ties of time
    columns: Sequence[Callable[[np.ndarray], np.ndarray]]
    scoring: Scoring | None = None  # of a fit; then weights have no say


@dataclass
class Consensus:
    """What the votes on each prediction came to, by its number; the last place is for a prediction without any."""

    label: np.ndarray  # code; NULL without votes
    origin: np.ndarray  # place in ORIGINS; NULL without votes
    split: np.ndarray  # int8; NULL without votes
    saw: np.ndarray  # int8; NULL for null
    probability: np.ndarray  # NaN for null

    @classmethod
    def empty(cls, predictions: int) -> "Consensus":
        """Makes the consensus of that many predictions without votes."""
        size = predictions + 1
        origin, split, saw = (np.full(size, NULL, np.int8) for _ in range(3))
        return cls(np.full(size, NULL, np.int32), origin, split, saw, np.full(size, np.nan))

    def put(self, number: np.ndarray, label: np.ndarray, origin: np.ndarray, split: np.ndarray | int, saw: np.ndarray,
            probability: np.ndarray) -> None:
        """Sets the consensus of the predictions with these numbers."""
        self.label[number] = label
        self.origin[number] = origin
        self.split[number] = split
        self.saw[number] = saw
        self.probability[number] = probability


@dataclass
class Tally:
    """Deciding votes by prediction and label, in this order, of predictions with several candidates."""

    number: np.ndarray
    label: np.ndarray  # code
    n: np.ndarray


@dataclass
class Answers:
    """What label rows judge, by the prediction's number."""

    predicted: np.ndarray  # code of the predicted label; NULL: there is no such prediction
    is_live: bool  # whether the live rows are counted, which a `≠` without `shown_label` judges

    def find_others(self, rows: LabelRows, at: np.ndarray) -> np.ndarray:
        """Says which of the rows `at` are a `≠` of another answer than the prediction's (rule 4a)."""
        shown = rows.shown[at] != self.predicted[rows.number[at]]
        return rows.unnamed[at] & (shown if not self.is_live else shown & rows.has_shown[at])


def decide(rows: LabelRows, answers: Answers) -> tuple[Consensus, Tally]:
    """Decides how every row that is still OK ends, and the consensus; sets `rows.status` in place."""
    open_ = np.flatnonzero(rows.status == OK)
    predictions = len(answers.predicted)
    several = np.bincount(rows.number[open_], minlength=predictions)[rows.number[open_]] > 1
    consensus = Consensus.empty(predictions)
    _resolve_single(rows, open_[~several], answers, consensus)
    return consensus, _resolve_several(rows, open_[several], answers, consensus)


def _resolve_single(rows: LabelRows, at: np.ndarray, answers: Answers, consensus: Consensus) -> None:
    """Decides the rows `at`, each of them alone on its prediction."""
    ending = np.where(answers.find_others(rows, at), OTHER_ANSWER, np.where(rows.withdraws[at], WITHDRAWN, VOTE))
    rows.status[at] = np.where(answers.predicted[rows.number[at]] != NULL, ending, ORPHAN)
    votes = at[rows.status[at] == VOTE]
    consensus.put(rows.number[votes], rows.label[votes], rows.origin[votes], 0, rows.saw[votes], rows.probability[votes])


def _resolve_several(rows: LabelRows, at: np.ndarray, answers: Answers, consensus: Consensus) -> Tally:
    """Decides the rows `at`, of predictions that have several."""
    at, tie = sort_by_time(rows, at)
    label_id = rows.label_id(at)
    duplicate = _find_repeated_label_ids(rows.number[at], label_id) | (_find_repeated_rows(rows, at, tie) & (label_id == NULL))
    rows.status[at[duplicate]] = DUPLICATE
    at = at[~duplicate]
    ending = np.where(answers.find_others(rows, at), OTHER_ANSWER, VOTE)
    rows.status[at] = np.where(answers.predicted[rows.number[at]] != NULL, ending, ORPHAN)
    at = at[rows.status[at] == VOTE]
    superseded = _is_superseded(rows, at)
    rows.status[at[superseded]] = SUPERSEDED
    rows.status[at[~superseded & rows.withdraws[at]]] = WITHDRAWN
    return _agree(rows, at[rows.status[at] == VOTE], answers, consensus)


def sort_by_time(rows: LabelRows, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorts the rows `at` by number, time and, where these are equal, all other columns.

    Returns (the rows in that order, each one's place among the rows of its number and time: 0 for a row that shares these
    with none; rows that are equal in everything share a place).
    """
    at = at[np.lexsort((rows.t[at], rows.number[at]))]
    with_last = np.zeros(len(at), bool)
    with_last[1:] = (rows.number[at[1:]] == rows.number[at[:-1]]) & (rows.t[at[1:]] == rows.t[at[:-1]])
    is_tied = with_last.copy()
    is_tied[:-1] |= with_last[1:]
    place = np.zeros(len(at), np.int64)
    tied = np.flatnonzero(is_tied)
    if len(tied):
        ranks = np.stack([column(at[tied]) for column in rows.columns])
        order = np.lexsort((*ranks[::-1], rows.t[at[tied]], rows.number[at[tied]]))
        at[tied] = at[tied[order]]
        ranks = ranks[:, order]
        place[tied] = 1 + np.cumsum(np.append(False, (ranks[:, 1:] != ranks[:, :-1]).any(axis=0)))
    return at, place


def _find_repeated_label_ids(number: np.ndarray, label_id: np.ndarray) -> np.ndarray:
    """Says which rows have the label_id of an earlier row on the same prediction."""
    found = np.zeros(len(number), bool)
    with_id = np.flatnonzero(label_id != NULL)
    found[with_id] = find_repeats(number[with_id], label_id[with_id])
    return found


def find_repeats(*columns: np.ndarray) -> np.ndarray:
    """Says which rows have, in all columns, the values of an earlier row."""
    order = np.lexsort(columns[::-1])
    same = np.ones(max(len(order) - 1, 0), bool)
    for column in columns:
        same &= column[order[1:]] == column[order[:-1]]
    found = np.zeros(len(order), bool)
    found[order[1:][same]] = True
    return found


def _find_repeated_rows(rows: LabelRows, at: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Says which of the rows `at` are equal to the row before in every column."""
    found = np.zeros(len(at), bool)
    same = (place[1:] > 0) & (place[1:] == place[:-1])
    found[1:] = same & (rows.number[at[1:]] == rows.number[at[:-1]]) & (rows.t[at[1:]] == rows.t[at[:-1]])
    return found


def _is_superseded(rows: LabelRows, at: np.ndarray) -> np.ndarray:
    """Says which of the rows `at` are followed by one of the same person, prediction and origin class."""
    back = at[::-1]
    return find_repeats(rows.number[back], rows.origin[back], rows.labeler[back])[::-1]


def _agree(rows: LabelRows, votes: np.ndarray, answers: Answers, consensus: Consensus) -> Tally:
    """Sets the consensus (rule 4) of votes in the order of `sort_by_time`."""
    starts, lengths = runs(rows.number[votes])
    highest = np.minimum.reduceat(rows.origin[votes], starts) if len(votes) else rows.origin[votes]
    votes = votes[rows.origin[votes] == np.repeat(highest, lengths)]
    starts, lengths = runs(rows.number[votes])
    tally, label, split = _choose_labels(rows, votes, answers)
    first = votes[starts]
    saw = _combine_saw(rows.saw[votes], starts)
    consensus.put(rows.number[first], label, rows.origin[first], split, saw, rows.probability[first])
    return tally


def _choose_labels(rows: LabelRows, votes: np.ndarray, answers: Answers) -> tuple[Tally, np.ndarray, np.ndarray]:
    """Returns (the tally, the label of each prediction, whether it is split), predictions in their order."""
    votes = votes[np.lexsort((rows.label[votes], rows.number[votes]))]
    starts, lengths = runs(rows.number[votes], rows.label[votes])
    first = votes[starts]
    tally = Tally(rows.number[first], rows.label[first], lengths)
    if not len(votes):
        return tally, tally.label, tally.n
    if rows.scoring:
        candidates = _score_labels(rows, votes, answers, rows.scoring)
        starts, lengths = runs(candidates.number)
        return tally, candidates.label[candidates.order()[starts]], (lengths > 1).astype(np.int8)
    candidates = Candidates(tally.number, tally.label, np.add.reduceat(rows.weight[votes], starts),
                            np.maximum.reduceat(rows.t[votes], starts))
    if rows.unnamed[first].any():
        candidates = _place_unnamed(candidates, rows.unnamed[first], answers)
    best = candidates.order()
    starts, lengths = runs(candidates.number)
    return tally, candidates.label[best[starts]], (lengths > 1).astype(np.int8)


@dataclass
class Candidates:
    """What the deciding votes on a prediction count for: labels by number, with their votes' weight and newest time."""

    number: np.ndarray
    label: np.ndarray  # code
    weight: np.ndarray
    newest: np.ndarray  # us since 1970

    def order(self) -> np.ndarray:
        """Returns the rows by number, of each number the leading label first (rule 4)."""
        return np.lexsort((self.label, ~self.newest, ~self.weight, self.number))  # ~x falls as x grows, never overflows

    def take(self, at: np.ndarray) -> "Candidates":
        """Returns some of the rows."""
        return Candidates(self.number[at], self.label[at], self.weight[at], self.newest[at])


def _score_labels(rows: LabelRows, votes: np.ndarray, answers: Answers, scoring: Scoring) -> Candidates:
    """Scores the labels that votes count for; those that name no class count for the leading one (rule 4a), if any."""
    said = rows.label[votes]
    unnamed = rows.unnamed[votes]
    if unnamed.any():
        named = _score_candidates(rows, votes[~unnamed], said[~unnamed], scoring)
        order = named.order()
        order = order[named.label[order] != answers.predicted[named.number[order]]]
        leading = order[runs(named.number[order])[0]]
        wrong = np.flatnonzero(unnamed)
        place = np.searchsorted(named.number[leading], rows.number[votes[wrong]])
        met = np.append(named.number[leading], NULL)[place] == rows.number[votes[wrong]]
        said[wrong[met]] = named.label[leading[place[met]]]
    return _score_candidates(rows, votes, said, scoring)


def _score_candidates(rows: LabelRows, votes: np.ndarray, said: np.ndarray, scoring: Scoring) -> Candidates:
    """Makes the candidates of votes that count for the labels `said`, in the order of number and label."""
    order = np.lexsort((said, rows.number[votes]))
    votes, said = votes[order], said[order]
    number = rows.number[votes]
    starts = runs(number, said)[0]
    newest = np.maximum.reduceat(rows.t[votes], starts) if len(votes) else rows.t[votes]
    score = scoring.add_up(number, rows.labeler[votes], said, said[starts], number[starts])
    return Candidates(number[starts], said[starts], score, newest)


def _place_unnamed(all_: Candidates, unnamed: np.ndarray, answers: Answers) -> Candidates:
    """Adds the votes that name no class to the leading named label other than the predicted one, if any (rule 4a)."""
    named = np.flatnonzero(~unnamed & (all_.label != answers.predicted[all_.number]))
    order = named[all_.take(named).order()]
    leading = order[runs(all_.number[order])[0]]
    wrong = np.flatnonzero(unnamed)
    place = np.searchsorted(all_.number[leading], all_.number[wrong])
    met = np.flatnonzero(place < len(leading))
    met = met[all_.number[leading[place[met]]] == all_.number[wrong[met]]]
    to, moved = leading[place[met]], wrong[met]
    weight, newest = all_.weight.copy(), all_.newest.copy()
    weight[to] += weight[moved]
    newest[to] = np.maximum(newest[to], newest[moved])
    kept = np.ones(len(unnamed), bool)
    kept[moved] = False
    return Candidates(all_.number, all_.label, weight, newest).take(np.flatnonzero(kept))


def _combine_saw(saw: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Returns 1 for each run in which any is true, else NULL when any is null, else 0."""
    if not len(saw):
        return saw
    least = np.minimum.reduceat(saw, starts)
    return np.where(np.maximum.reduceat(saw, starts) == 1, 1, least).astype(np.int8)
