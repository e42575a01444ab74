"""The items of a day (contract/rows/items.py) from numpy columns: predictions that have votes, with all of these."""

import numpy as np
import pyarrow as pa

from contract.counts import SMALLEST_P
from contract.rows.items import VOTE, arrange_items, make_schema
from jobs.engines.arrays import NULL, booleans, numbers
from jobs.engines.embedded.cells import Joined, origin_words

HANDED_ON = ("s_image_sha256", "s_image_uri", "s_client")  # columns of predictions by name: ITEM_COLUMNS, in the order of items


def make_items(joined: Joined, table: pa.Table, irregular: pa.Table | None) -> pa.Table:
    """Makes the items of our predictions.

    `table` has the prediction rows, with HANDED_ON; `irregular` the votes on irregular predictions
    as `sql.OUR_VOTES_IN_ORDER` gives them, None when there are none.
    """
    consensus, words = joined.groups.consensus, joined.groups.rows.words
    voted = np.flatnonzero(joined.ours & (consensus.label[:-1] != NULL))
    of_row = table.select(["id", "version", "predicted", "confidence", *HANDED_ON]).take(
        pa.array(joined.row_of[voted]))
    made = [of_row["id"], of_row["version"], of_row["predicted"], of_row["confidence"],
            words.decode(consensus.label[voted]), origin_words(consensus.origin[voted]),
            pa.array(consensus.split[voted] == 1), _probabilities(consensus.probability, voted),
            *(of_row[name] for name in HANDED_ON), _list_votes(joined, voted, irregular)]
    return arrange_items(pa.table(made, names=make_schema().names))


def _probabilities(probability: np.ndarray | None, at: np.ndarray) -> pa.Array:
    """Returns the selection probabilities at these places; null where one gives no weight (rule 4)."""
    return pa.nulls(len(at), pa.float64()) if probability is None else _mask_weightless(probability[at])


def _mask_weightless(p: np.ndarray) -> pa.Array:
    """Makes selection probabilities of numbers; null where one gives no weight (rule 4)."""
    return pa.array(p, mask=~((p >= SMALLEST_P) & (p <= 1)))


def _list_votes(joined: Joined, voted: np.ndarray, irregular: pa.Table | None) -> pa.ListArray:
    """Returns the votes of each of the groups `voted`, in the order of rule 3."""
    rows, at = joined.groups.rows, np.flatnonzero(joined.our_votes)
    saw = rows.saw[at] if rows.saw is not None else np.full(len(at), NULL, np.int8)
    p = rows.probability[at] if rows.probability is not None else np.full(len(at), np.nan)
    columns = [rows.words.decode(rows.labeler[at]), rows.words.decode(rows.label[at]), rows.t[at], rows.origin[at], saw, p]
    group, place = joined.groups.of_row[at], rows.t[at]
    if irregular is not None:
        more = joined.groups.find(numbers(irregular["h"]).astype(np.uint64, copy=False))
        group, place = np.concatenate([group, more]), np.concatenate([place, numbers(irregular["place"])])
        columns = [_join(columns[0], irregular["labeler"]), _join(columns[1], irregular["label"]),
                   *(np.concatenate(pair) for pair in zip(columns[2:], (
                       numbers(irregular["t"]), numbers(irregular["class"]), booleans(irregular["saw"]),
                       numbers(irregular["probability"], np.nan)), strict=True))]
    order = np.lexsort((place, group))
    labeler, label, t, origin, saw, p = columns
    votes = pa.table([labeler, label, pa.array(t).cast(VOTE.arrow().field("labeled_at").type), origin_words(origin),
                      pa.array(saw == 1, mask=saw == NULL), _mask_weightless(p)], schema=VOTE.arrow())
    votes = votes.take(pa.array(order)).combine_chunks()
    ends = np.searchsorted(group[order], voted, side="right")
    fields = [votes[name].chunk(0) if votes.num_rows else votes[name].combine_chunks() for name in VOTE.names]
    return pa.ListArray.from_arrays(pa.array(np.append(0, ends).astype(np.int32)),
                                    pa.StructArray.from_arrays(fields, fields=list(VOTE.arrow())))


def _join(texts: pa.StringArray, more: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([texts, *more.chunks], pa.string())
