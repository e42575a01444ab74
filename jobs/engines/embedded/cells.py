"""The counts tables of a day from numpy columns: predictions beside the consensus of their labels.

Only what the plain label rows say; `embedded_sql.py` adds the votes of odd ones, and the sums of weights.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from contract.clock import US_PER_DAY
from contract.counts import BINS, CONFIDENCE_SCALE, ORIGINS, SMALLEST_P, TABLES, WEIGHT_SCALE
from jobs.engines.embedded.arrays import NULL, added, as_array, in_order, numbers, pack, parts, starts_of, texts_of
from jobs.engines.embedded.sql import OK
from jobs.engines.embedded.votes import LabelGroups

EDGES = np.arange(BINS + 1) / BINS
# The place of an origin class (and of null, the last) among the classes' words, nulls first.
ORIGIN_PLACE = np.array([*(sorted(ORIGINS).index(o) + 1 for o in ORIGINS), 0], np.int8)


@dataclass
class PredictionRows:
    """The prediction rows of a day, a column each; `key` is 0 for rows without an id."""

    ids: Any
    key: Any
    state: Any
    ours: Any
    t: Any
    known: Any
    confidence: Any
    version: Any  # Arrow, as are the next two
    predicted: Any
    rank: Any = None

    @classmethod
    def of(cls, table: Any) -> "PredictionRows":
        """The rows of what `embedded_sql.prediction_rows` gave."""
        names, t = set(table.column_names), numbers(table["p_t"])
        return cls(as_array(table["id"]), numbers(table["h"]).astype(np.uint64, copy=False), numbers(table["state"]),
                   numbers(table["ours"]), t, numbers(table["known"]) if "known" in names else t,
                   numbers(table["confidence"], np.nan), table["version"], table["predicted"],
                   numbers(table["rank"]) if "rank" in names else None)


@dataclass
class Joined:
    """Distinct predictions and the label rows on them."""

    rows: PredictionRows
    groups: LabelGroups
    row_of: Any  # the prediction row of each group; NULL: an orphan's
    group_of: Any  # the group of each prediction row; NULL: it has no label rows, or is not distinct

    @cached_property
    def ours(self) -> Any:
        """Groups whose prediction is this model's."""
        return (self.row_of != NULL) & self.rows.ours[self.row_of] if len(self.rows.ours) else self.row_of != NULL

    @cached_property
    def others(self) -> Any:
        """Groups whose prediction is another model's."""
        return (self.row_of != NULL) & ~self.ours

    @cached_property
    def our_votes(self) -> Any:
        """Which label rows are votes on a plain prediction of ours."""
        return (self.ours & ~self.groups.odd)[self.groups.of_row]


def repeated(rows: PredictionRows) -> tuple[Any, Any, Any]:
    """(rows in state OK, in the order of their key; these keys; those that several of them share)."""
    known = np.flatnonzero(rows.state == OK)
    all_known = len(known) == len(rows.key)
    order, keys = in_order(rows.key if all_known else rows.key[known])
    return (order if all_known else known[order]), keys, np.unique(keys[1:][keys[1:] == keys[:-1]])


def join(rows: PredictionRows, order: Any, keys: Any, groups: LabelGroups) -> Joined:
    """Each distinct prediction beside its label rows, by their keys; `order` and `keys` as from `repeated`."""
    place = np.searchsorted(keys, groups.key)
    met = np.flatnonzero(place < len(keys))
    met = met[keys[place[met]] == groups.key[met]]
    row_of, group_of = np.full(len(groups.key), NULL), np.full(len(rows.key), NULL)
    row_of[met] = order[place[met]]
    group_of[row_of[met]] = met
    return Joined(rows, groups, row_of, group_of)


def bins(confidence: Any) -> Any:
    """Rule 5: the largest k in 0…19 with k/20 <= confidence; NULL for NaN and outside [0, 1]."""
    inside = (confidence >= 0) & (confidence <= 1)
    value = np.where(inside, confidence, 0.0)
    guess = np.minimum((value * BINS).astype(np.int8), BINS - 1)  # may be one off
    guess -= EDGES[guess] > value
    guess += (EDGES[guess + 1] <= value) & (guess < BINS - 1)
    return np.where(inside, guess, np.int8(NULL))


def _binned(confidence: Any) -> tuple[Any, Any]:
    """(the bin, floor(confidence * 2^30), 0 without a bin) of each row."""
    bin_, fixed = np.empty(len(confidence), np.int8), np.empty(len(confidence), np.int64)
    for part in parts(len(confidence)):
        bin_[part] = found = bins(confidence[part])
        fixed[part] = np.where(found >= 0, confidence[part], 0.0) * CONFIDENCE_SCALE
    return bin_, fixed


def cells(joined: Joined) -> tuple[Any, Any]:
    """(the cells without their weights, the cell and weight of each prediction whose weight is known)."""
    import pyarrow as pa

    rows, consensus, words = joined.rows, joined.groups.consensus, joined.groups.rows.words
    texts = texts_of(rows.version, rows.predicted, pa.chunked_array([words.words]))
    mine = (rows.state == OK) & rows.ours
    mine = slice(None) if mine.all() else np.flatnonzero(mine)
    group = joined.group_of[mine]
    version, predicted = (texts.codes(c)[mine] for c in (rows.version, rows.predicted))
    bin_, fixed = _binned(rows.confidence[mine])
    label = np.append(texts.codes(words.words), NULL)[consensus.label]
    of_group = pack([label + 1, ORIGIN_PLACE[consensus.origin], consensus.saw + 1])[0]
    keys = [version, predicted, bin_ + 1, of_group[group]]
    rank = rows.rank[mine] if rows.rank is not None else np.zeros(len(group), np.int32)
    keys += [_ranked(rank), (consensus.split + 1)[group]]
    row, (sum_confidence,), n = added(keys, fixed)
    at, none = group[row], np.zeros(len(row), np.int64)
    zero = pa.array(none).cast(pa.decimal128(38, 0))
    made = [texts.decode(version[row]), texts.decode(predicted[row]), _nulled(bin_[row].astype(np.int32), bin_[row]),
            texts.decode(label[at]), _origins(consensus.origin[at]),
            pa.array(consensus.saw[at] == 1, mask=consensus.saw[at] == NULL),
            pa.array(rank[row].astype(np.int32), mask=rank[row] == 0),
            pa.array(consensus.split[at] == 1, mask=consensus.split[at] == NULL), pa.array(n), pa.array(sum_confidence),
            pa.array(none), zero, zero]
    return pa.table(made, schema=TABLES["cells"].arrow()), _weights(consensus, group, keys, row)


def _ranked(rank: Any) -> Any:
    """Ranks from 0 in their order, 0 (null) first."""
    return np.where(rank == 0, 0, rank - rank.min(initial=0) + 1)


def _nulled(values: Any, codes: Any) -> Any:
    import pyarrow as pa

    return pa.array(values, mask=codes == NULL)


def _origins(classes: Any) -> Any:
    import pyarrow as pa

    return pa.array(list(ORIGINS)).take(pa.array(classes, mask=classes == NULL))


def _weights(consensus: Any, group: Any, keys: list[Any], first: Any) -> Any:
    """(cell, w) of the rows that have a weight, as an Arrow table; None when no row has one."""
    import pyarrow as pa

    if consensus.probability is None:
        return None
    p = consensus.probability[group]
    known = np.flatnonzero((p >= SMALLEST_P) & (p <= 1))
    if not len(known):
        return None
    packed, _ = pack(keys)
    cell = np.searchsorted(packed[first], packed[known])
    return pa.table({"cell": cell, "w": np.floor(WEIGHT_SCALE / p[known]).astype(np.int64)})


def with_weights(cells_: Any, sums: Any) -> Any:
    """The cells with their sums of weights: Arrow columns cell, n_weighted, sum_weight, sum_weight_squared."""
    import pyarrow as pa

    cell = sums["cell"].to_numpy()
    place = np.full(cells_.num_rows, len(cell))
    place[cell] = np.arange(len(cell))
    for name in ("n_weighted", "sum_weight", "sum_weight_squared"):
        kind = cells_.schema.field(name).type
        column = pa.concat_arrays([as_array(sums[name]).cast(kind), pa.array([0]).cast(kind)])
        cells_ = cells_.set_column(cells_.schema.get_field_index(name), cells_.schema.field(name), column.take(pa.array(place)))
    return cells_


def people(joined: Joined) -> Any:
    """Votes of each labeler, and how many of them name the consensus."""
    import pyarrow as pa

    rows, votes = joined.groups.rows, np.flatnonzero(joined.our_votes)
    agrees = rows.label[votes] == joined.groups.consensus.label[joined.groups.of_row[votes]]
    row, (agreements,), n = added([rows.labeler[votes] + 1], agrees.astype(np.int64))
    return pa.table([rows.words.decode(rows.labeler[votes][row]), pa.array(n), pa.array(agreements)],
                    schema=TABLES["people"].arrow())


def delays(joined: Joined) -> Any:
    """Votes by days since the prediction and origin class."""
    import pyarrow as pa

    rows, votes = joined.groups.rows, np.flatnonzero(joined.our_votes)
    since = joined.rows.t[joined.row_of[joined.groups.of_row[votes]]] if len(votes) else votes
    days, origin = (rows.t[votes] - since) // US_PER_DAY, rows.origin[votes]
    row, _, n = added([days - days.min(initial=0), ORIGIN_PLACE[origin]])
    return pa.table([pa.array(days[row].astype(np.int32)), _origins(origin[row]), pa.array(n)],
                    schema=TABLES["delays"].arrow())


def coincidences(joined: Joined) -> Any:
    """Ordered pairs of deciding votes on one item."""
    import pyarrow as pa

    tally, words = joined.groups.tally, joined.groups.rows.words
    mine = joined.ours[tally.group]
    group, label, n = tally.group[mine], tally.label[mine], tally.n[mine]
    starts = starts_of(group)
    size = np.diff(starts, append=len(group))
    votes = np.repeat(np.add.reduceat(n, starts) if len(n) else n, size)
    parts = [(label, label, votes, n * (n - 1))]
    for step in range(1, int(size.max(initial=0))):
        a = np.flatnonzero(group[step:] == group[:-step])
        b = a + step
        parts += [(label[x], label[y], votes[a], n[a] * n[b]) for x, y in ((a, b), (b, a))]
    one, other, votes, n = (np.concatenate(p) for p in zip(*parts, strict=True))
    some = n > 0
    one, other, votes, n = (x[some] for x in (one, other, votes, n))
    row, (sums,), _ = added([one, other, votes], n)
    return pa.table([words.decode(one[row]), words.decode(other[row]), pa.array(votes[row].astype(np.int32)),
                     pa.array(sums)], schema=TABLES["coincidences"].arrow())


def consensus_table(groups: LabelGroups) -> Any:
    """(h, label) of the predictions that have a consensus, as an Arrow table."""
    import pyarrow as pa

    some = np.flatnonzero(groups.consensus.label[:-1] != NULL)
    return pa.table({"h": groups.key[some], "label": groups.rows.words.decode(groups.consensus.label[some])})


def sliced(joined: Joined, table: Any) -> Any:
    """Distinct predictions of ours with what their slices are made from, their consensus and its class."""
    import pyarrow as pa

    mine = np.flatnonzero((joined.rows.state == OK) & joined.rows.ours)
    group, consensus = joined.group_of[mine], joined.groups.consensus
    table = table.take(pa.array(mine)).append_column("label", joined.groups.rows.words.decode(consensus.label[group]))
    return table.append_column("class", _nulled(consensus.origin[group], consensus.origin[group]))
