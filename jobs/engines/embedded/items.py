"""The items of a day (contract/rows/items.py) from numpy columns: predictions that have votes, with all of these."""

import numpy as np
import pyarrow as pa

from contract.counts import SMALLEST_P
from contract.rows.items import VOTE, arrange_items, make_schema
from jobs.engines.arrays import NULL, numbers, truths
from jobs.engines.embedded.cells import Joined, origin_words
from jobs.engines.embedded.votes import Consensus


def make_items(joined: Joined, table: pa.Table, irregular: pa.Table | None) -> pa.Table:
    """Makes the items of our predictions.

    `table` has the prediction rows, with `s_image_sha256` and `s_image_uri`; `irregular` the votes on irregular predictions
    as `sql.OUR_VOTES_IN_ORDER` gives them, None when there are none.
    """
    consensus, words = joined.groups.consensus, joined.groups.rows.words
    voted = np.flatnonzero(joined.ours & (consensus.label[:-1] != NULL))
    of_row = table.select(["id", "version", "predicted", "confidence", "s_image_sha256", "s_image_uri"]).take(
        pa.array(joined.row_of[voted]))
    made = [of_row["id"], of_row["version"], of_row["predicted"], of_row["confidence"],
            words.decode(consensus.label[voted]), origin_words(consensus.origin[voted]),
            pa.array(consensus.split[voted] == 1), _probabilities(consensus, voted), of_row["s_image_sha256"],
            of_row["s_image_uri"], _list_votes(joined, voted, irregular)]
    return arrange_items(pa.table(made, names=make_schema().names))


def _probabilities(consensus: Consensus, voted: np.ndarray) -> pa.Array:
    """Returns the selection probability of each item; null where it gives no weight (rule 4)."""
    if consensus.probability is None:
        return pa.nulls(len(voted), pa.float64())
    p = consensus.probability[voted]
    return pa.array(p, mask=~((p >= SMALLEST_P) & (p <= 1)))


def _list_votes(joined: Joined, voted: np.ndarray, irregular: pa.Table | None) -> pa.ListArray:
    """Returns the votes of each of the groups `voted`, in the order of rule 3."""
    rows, at = joined.groups.rows, np.flatnonzero(joined.our_votes)
    saw = rows.saw[at] if rows.saw is not None else np.full(len(at), NULL, np.int8)
    columns = [rows.words.decode(rows.labeler[at]), rows.words.decode(rows.label[at]), rows.t[at], rows.origin[at], saw]
    group, place = joined.groups.of_row[at], rows.t[at]
    if irregular is not None:
        more = joined.groups.find(numbers(irregular["h"]).astype(np.uint64, copy=False))
        group, place = np.concatenate([group, more]), np.concatenate([place, numbers(irregular["place"])])
        columns = [_join(columns[0], irregular["labeler"]), _join(columns[1], irregular["label"]),
                   *(np.concatenate(pair) for pair in zip(columns[2:], (
                       numbers(irregular["t"]), numbers(irregular["class"]), truths(irregular["saw"])), strict=True))]
    order = np.lexsort((place, group))
    labeler, label, t, origin, saw = columns
    votes = pa.table([labeler, label, pa.array(t).cast(VOTE.arrow().field("labeled_at").type), origin_words(origin),
                      pa.array(saw == 1, mask=saw == NULL)], schema=VOTE.arrow()).take(pa.array(order)).combine_chunks()
    ends = np.searchsorted(group[order], voted, side="right")
    fields = [votes[name].chunk(0) if votes.num_rows else votes[name].combine_chunks() for name in VOTE.names]
    return pa.ListArray.from_arrays(pa.array(np.append(0, ends).astype(np.int32)),
                                    pa.StructArray.from_arrays(fields, fields=list(VOTE.arrow())))


def _join(texts: pa.StringArray, more: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([texts, *more.chunks], pa.string())
