"""The counts tables of a day from numpy columns: predictions beside the consensus of their labels.

Only what the label rows of regular predictions say; sql.py adds the votes of irregular ones, and the sums of weights.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from contract.counts import BINS, CONFIDENCE_SCALE, ORIGINS, SMALLEST_P, TABLES, WEIGHT_SCALE
from jobs.engines.arrays import (
    NULL,
    Words,
    find_starts,
    join_chunks,
    numbers,
    pack,
    parts,
    renumber,
    sizes_of,
    sum_by_key,
    sum_equal,
    whole_days,
)
from jobs.engines.embedded.arrays import KeyIndex
from jobs.engines.embedded.sql import OK
from jobs.engines.embedded.votes import Consensus, LabelGroups

EDGES = np.arange(BINS + 1) / BINS
# The rank of an origin class (and of null, the last) among the classes by name, nulls first.
ORIGIN_PLACE = np.array([*(sorted(ORIGINS).index(o) + 1 for o in ORIGINS), 0], np.int8)


@dataclass
class PredictionRows:
    """The prediction rows of a day, a column each; `key` is 0 for rows without an id."""

    ids: pa.StringArray
    key: np.ndarray  # uint64
    state: np.ndarray
    ours: np.ndarray
    t: np.ndarray  # us since 1970
    known: np.ndarray  # us since 1970
    confidence: np.ndarray  # NaN for null
    version: pa.ChunkedArray
    predicted: pa.ChunkedArray
    impossible: np.ndarray  # which hold a value that cannot be
    rank: np.ndarray | None = None  # 0 for null; None: no file has top labels

    @classmethod
    def of(cls, table: pa.Table) -> "PredictionRows":
        """Makes the rows of the result of `sql.select_prediction_rows`."""
        names, t = set(table.column_names), numbers(table["p_t"])
        return cls(
            ids=join_chunks(table["id"]), key=numbers(table["h"]).astype(np.uint64, copy=False), state=numbers(table["state"]),
            ours=numbers(table["ours"]), t=t, known=numbers(table["known"]) if "known" in names else t,
            confidence=numbers(table["confidence"], np.nan), version=table["version"], predicted=table["predicted"],
            impossible=numbers(table["impossible"]),
            rank=numbers(table["rank"]) if "rank" in names else None)


@dataclass
class Joined:
    """Distinct predictions and the label rows on them."""

    rows: PredictionRows
    groups: LabelGroups
    row_of: np.ndarray  # the prediction row of each group; NULL: there is none, its rows are orphans
    group_of: np.ndarray  # the group of each prediction row; NULL: it has no label rows, or is not distinct

    @cached_property
    def ours(self) -> np.ndarray:
        """Mask of the groups whose prediction is this model's."""
        return (self.row_of != NULL) & self.rows.ours[self.row_of] if len(self.rows.ours) else self.row_of != NULL

    @cached_property
    def others(self) -> np.ndarray:
        """Mask of the groups whose prediction is another model's."""
        return (self.row_of != NULL) & ~self.ours

    @cached_property
    def our_votes(self) -> np.ndarray:
        """Mask of the label rows that are votes on a regular prediction of this model."""
        return (self.ours & ~self.groups.irregular)[self.groups.of_row]


@dataclass(frozen=True)
class Known:
    """The prediction rows in state OK, with an index by their keys."""

    at: np.ndarray  # row numbers
    index: KeyIndex  # over these rows

    @classmethod
    def of(cls, rows: PredictionRows) -> "Known":
        """Finds these rows."""
        at = np.flatnonzero(rows.state == OK)
        return cls(at, KeyIndex(rows.key if len(at) == len(rows.key) else rows.key[at]))

    def find_repeated(self) -> np.ndarray:
        """Returns the keys that several of the rows share."""
        return np.unique(self.index.key[self.index.chosen != np.arange(len(self.at))])


def join(rows: PredictionRows, known: Known, groups: LabelGroups) -> Joined:
    """Joins each distinct prediction with its label rows by their keys."""
    found = known.index.find(groups.key)
    met = np.flatnonzero(found != NULL)
    row_of, group_of = np.full(len(groups.key), NULL), np.full(len(rows.key), NULL)
    row_of[met] = known.at[found[met]]
    group_of[row_of[met]] = met
    return Joined(rows, groups, row_of, group_of)


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """Returns the largest k in 0…19 with k/20 <= confidence (rule 5); NULL for NaN and outside [0, 1]."""
    inside = (confidence >= 0) & (confidence <= 1)
    value = np.where(inside, confidence, 0.0)
    guess = np.minimum((value * BINS).astype(np.int8), BINS - 1)  # may be one off
    guess -= EDGES[guess] > value
    guess += (EDGES[guess + 1] <= value) & (guess < BINS - 1)
    return np.where(inside, guess, np.int8(NULL))


def _bin_and_scale(confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (the bin, floor(confidence * 2^30), 0 without a bin) of each row."""
    bin_, fixed = np.empty(len(confidence), np.int8), np.empty(len(confidence), np.int64)
    for part in parts(len(confidence)):
        bin_[part] = found = confidence_bins(confidence[part])
        fixed[part] = np.where(found >= 0, confidence[part], 0.0) * CONFIDENCE_SCALE
    return bin_, fixed


def count_cells(joined: Joined) -> tuple[pa.Table, pa.Table | None]:
    """Returns (the cells without their weights, the cell and weight of each prediction whose weight is known).

    The cells are in canonical order, for codes sort as their texts do. The second is None when no weight is known.
    """
    rows, consensus, words = joined.rows, joined.groups.consensus, joined.groups.rows.words
    versions, texts = Words.of(rows.version), Words.of(rows.predicted, words.texts)
    is_mine = (rows.state == OK) & rows.ours
    mine = slice(None) if is_mine.all() else np.flatnonzero(is_mine)
    group = joined.group_of[mine]
    version, predicted = versions.codes(rows.version)[mine], texts.codes(rows.predicted)[mine]
    bin_, fixed = _bin_and_scale(rows.confidence[mine])
    label = np.append(texts.codes(words.texts), NULL)[consensus.label]
    rank = rows.rank[mine] if rows.rank is not None else np.zeros(len(group), np.int32)
    of_group, split = [label + 1, ORIGIN_PLACE[consensus.origin], consensus.saw + 1], consensus.split + 1
    # Few of the combinations occur, so they are one key column. `split` comes after the rank in the order of cells: it is part
    # of that column only where no row has a rank.
    numbered = renumber(*pack(of_group if rows.rank is not None else [*of_group, split]))
    keys = [version, predicted, bin_ + 1, numbered[group]]
    keys += [_shift_ranks(rank), split[group]] if rows.rank is not None else []
    row, (sum_confidence,), n = sum_by_key(keys, fixed)
    at, none = group[row], np.zeros(len(row), np.int64)
    zero = pa.array(none).cast(pa.decimal128(38, 0))
    made = [versions.decode(version[row]), texts.decode(predicted[row]),
            pa.array(bin_[row].astype(np.int32), mask=bin_[row] == NULL),
            texts.decode(label[at]), origin_words(consensus.origin[at]),
            pa.array(consensus.saw[at] == 1, mask=consensus.saw[at] == NULL),
            pa.array(rank[row].astype(np.int32), mask=rank[row] == 0),
            pa.array(consensus.split[at] == 1, mask=consensus.split[at] == NULL), pa.array(n), pa.array(sum_confidence),
            pa.array(none), zero, zero, zero]
    return pa.table(made, schema=TABLES["cells"].arrow()), _weights_of_cells(_weigh(consensus, group), fixed, keys, row)


def _shift_ranks(rank: np.ndarray) -> np.ndarray:
    """Shifts ranks to integers from 0 in their order, 0 for null."""
    return np.where(rank == 0, 0, rank - rank.min(initial=0) + 1)


def origin_words(classes: np.ndarray) -> pa.StringArray:
    """Returns the words of origin classes; NULL is null."""
    return pa.array(list(ORIGINS)).take(pa.array(classes, mask=classes == NULL))


def _weigh(consensus: Consensus, group: np.ndarray) -> np.ndarray:
    """Returns floor(2^16 / p) of each row; 0 where p is not known or out of its range."""
    if consensus.probability is None:
        return np.zeros(len(group), np.int64)
    p = consensus.probability[group]
    known = (p >= SMALLEST_P) & (p <= 1)
    return np.where(known, np.floor(WEIGHT_SCALE / np.where(known, p, 1.0)), 0).astype(np.int64)


def _weights_of_cells(weight: np.ndarray, fixed: np.ndarray, keys: list[np.ndarray], first: np.ndarray) -> pa.Table | None:
    """Returns (cell, w, c: the scaled confidence) of the rows that have a weight; None when no row has one."""
    known = np.flatnonzero(weight)
    if not len(known):
        return None
    packed, _ = pack(keys)
    cell = np.searchsorted(packed[first], packed[known])
    return pa.table({"cell": cell, "w": weight[known], "c": fixed[known]})


def add_weights(cells: pa.Table, sums: pa.Table) -> pa.Table:
    """Sets the cells' sums of weights from columns cell, n_weighted, sum_weight and so on."""
    cell = sums["cell"].to_numpy()
    place = np.full(cells.num_rows, len(cell))
    place[cell] = np.arange(len(cell))
    for name in ("n_weighted", "sum_weight", "sum_weight_squared", "sum_weight_confidence"):
        kind = cells.schema.field(name).type
        column = pa.concat_arrays([join_chunks(sums[name]).cast(kind), pa.array([0]).cast(kind)])
        field = cells.schema.field(name)
        cells = cells.set_column(cells.schema.get_field_index(name), field, column.take(pa.array(place)))
    return cells


def count_people(joined: Joined) -> pa.Table:
    """Counts the votes of each labeler, how many of them name the consensus, and pairs with votes of others."""
    rows, votes = joined.groups.rows, np.flatnonzero(joined.our_votes)
    agrees = rows.label[votes] == joined.groups.consensus.label[joined.groups.of_row[votes]]
    pairs, agreeing = _count_pairs(joined, votes)
    row, sums, n = sum_by_key([rows.labeler[votes] + 1], agrees.astype(np.int64), pairs, agreeing)
    return pa.table([rows.words.decode(rows.labeler[votes][row]), pa.array(n), *map(pa.array, sums)],
                    schema=TABLES["people"].arrow())


def _count_pairs(joined: Joined, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each vote how many votes other people gave on its prediction, and how many of those name its label."""
    rows, groups = joined.groups.rows, joined.groups
    pairs, agreeing = (np.zeros(len(votes), np.int64) for _ in range(2))
    several = np.flatnonzero(groups.size[groups.of_row[votes]] > 1)
    at = votes[several]
    group, labeler, label, one = groups.of_row[at], rows.labeler[at] + 1, rows.label[at], np.ones(len(at), np.int64)
    # Within one origin class a labeler has one vote on a prediction: a later one supersedes the earlier.
    several_classes = len(at) and rows.origin[at].min() != rows.origin[at].max()
    own, own_agreeing = (sum_equal(one, group, labeler), sum_equal(one, group, labeler, label)) if several_classes else (one, one)
    pairs[several] = groups.size[group] - own
    agreeing[several] = sum_equal(one, group, label) - own_agreeing
    return pairs, agreeing


def count_delays(joined: Joined) -> pa.Table:
    """Counts the votes by days since the prediction and origin class."""
    rows, votes = joined.groups.rows, np.flatnonzero(joined.our_votes)
    since = joined.rows.t[joined.row_of[joined.groups.of_row[votes]]] if len(votes) else votes
    days, origin = whole_days(rows.t[votes], since), rows.origin[votes]
    row, _, n = sum_by_key([days - days.min(initial=0), ORIGIN_PLACE[origin]])
    return pa.table([pa.array(days[row].astype(np.int32)), origin_words(origin[row]), pa.array(n)],
                    schema=TABLES["delays"].arrow())


def count_coincidences(joined: Joined) -> pa.Table:
    """Counts the ordered pairs of deciding votes on one item."""
    tally, words = joined.groups.tally, joined.groups.rows.words
    mine = joined.ours[tally.group]
    group, label, n = tally.group[mine], tally.label[mine], tally.n[mine]
    starts = find_starts(group)
    size = sizes_of(starts, len(group))
    votes = np.repeat(np.add.reduceat(n, starts) if len(n) else n, size)
    pairs = [(label, label, votes, n * (n - 1))]
    for step in range(1, int(size.max(initial=0))):
        a = np.flatnonzero(group[step:] == group[:-step])
        b = a + step
        pairs += [(label[x], label[y], votes[a], n[a] * n[b]) for x, y in ((a, b), (b, a))]
    one, other, votes, n = (np.concatenate(p) for p in zip(*pairs, strict=True))
    some = n > 0
    one, other, votes, n = (x[some] for x in (one, other, votes, n))
    row, (sums,), _ = sum_by_key([one, other, votes], n)
    return pa.table([words.decode(one[row]), words.decode(other[row]), pa.array(votes[row].astype(np.int32)),
                     pa.array(sums)], schema=TABLES["coincidences"].arrow())


def list_consensus(groups: LabelGroups) -> pa.Table:
    """Lists (h, label) of the predictions that have a consensus."""
    some = np.flatnonzero(groups.consensus.label[:-1] != NULL)
    return pa.table({"h": groups.key[some], "label": groups.rows.words.decode(groups.consensus.label[some])})


def join_slice_columns(joined: Joined, table: pa.Table) -> pa.Table:
    """Joins our distinct predictions with the columns of their slices, their consensus and its class."""
    mine = np.flatnonzero((joined.rows.state == OK) & joined.rows.ours)
    group, consensus = joined.group_of[mine], joined.groups.consensus
    table = table.take(pa.array(mine)).append_column("label", joined.groups.rows.words.decode(consensus.label[group]))
    weight = _weigh(consensus, group)
    table = table.append_column("w", pa.array(weight, mask=weight == 0))
    origin = consensus.origin[group]
    return table.append_column("class", pa.array(origin, mask=origin == NULL))
