"""The items of a part of a day (contract/rows/items.py), from the columns that its counts are made of."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from contract.counts import SMALLEST_P
from contract.rows.items import ITEM, VOTE, VOTES, arrange_items
from jobs.engines.arrays import NULL
from jobs.engines.question import Question
from jobs.engines.spark.cells import Joined, origin_words
from jobs.engines.spark.day import PartCounts, add_but_tables, join_part
from jobs.engines.spark.tasks import Work
from jobs.engines.spark.votes import VOTE as IS_VOTE
from jobs.engines.spark.votes import sort_by_time

TABLE = ITEM.name


def list_part(day: str, predictions: pa.Table, labels: pa.Table, question: Question) -> PartCounts:
    """Lists the items of a part of that day; the question's slices are ITEM_COLUMNS."""
    joined, counts = join_part(day, predictions, labels, question)
    counts.tables = {TABLE: make_items(joined)}
    return counts


def add_lists(parts: Sequence[PartCounts]) -> PartCounts:
    """Puts the items of several parts of one day together, in any order."""
    return add_but_tables(parts, {TABLE: pa.concat_tables([part.tables[TABLE] for part in parts])})


def finish_list(listed: PartCounts) -> PartCounts:
    """Puts the items of all of a day's parts in order."""
    return replace(listed, tables={TABLE: arrange_items(listed.tables[TABLE])})


ITEMS = Work(list_part, add_lists, finish_list)


def make_items(joined: Joined) -> pa.Table:
    """Makes the items of the rows that have a consensus."""
    voted = np.flatnonzero(joined.consensus.label[joined.number] != NULL)
    number, consensus, at = joined.number[voted], joined.consensus, pa.array(voted)
    made = {"prediction_id": joined.ids.take(pa.array(joined.mine[voted])),
            "model_version": joined.versions.decode(joined.version[voted]),
            "predicted": joined.classes.decode(joined.predicted[voted]),
            "confidence": pa.array(joined.confidence[voted]), "label": joined.classes.decode(consensus.label[number]),
            "origin": origin_words(consensus.origin[number]), "split": pa.array(consensus.split[number] == 1),
            "selection_probability": _mask_weightless(consensus.probability[number]),
            **{name: column.take(at).cast(pa.string()) for name, column in joined.slices.items()}}
    return pa.table(made | {VOTES: _list_votes(joined, number)})


def _mask_weightless(p: np.ndarray) -> pa.Array:
    """Makes selection probabilities of numbers; null where one gives no weight (rule 4)."""
    return pa.array(p, mask=~((p >= SMALLEST_P) & (p <= 1)))


def _list_votes(joined: Joined, number: np.ndarray) -> pa.ListArray:
    """Lists the votes on the predictions with these numbers, each one's in the order of rule 3."""
    rows, place = joined.labels, np.full(len(joined.consensus.label), NULL)
    place[number] = np.arange(len(number))
    at, _ = sort_by_time(rows, np.flatnonzero(rows.status == IS_VOTE))
    at = at[np.argsort(place[rows.number[at]], kind="stable")]
    lengths = np.bincount(place[rows.number[at]], minlength=len(number))
    fields = [joined.people.decode(rows.labeler[at]), joined.classes.decode(rows.label[at]),
              pa.array(rows.t[at]).cast(pa.timestamp("us", "UTC")), origin_words(rows.origin[at]),
              pa.array(rows.saw[at] == 1, mask=rows.saw[at] == NULL), _mask_weightless(rows.probability[at])]
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(fields, fields=list(VOTE.arrow())))
