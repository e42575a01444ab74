"""The votes of a window in Spark tasks, for a fit of labelers: each task holds a partition of them and returns its sums.

The tasks run the functions that a fit in one process runs (metrics/labelers/), on the same parts; the driver keeps the
parameters, as many as labelers and labels, and broadcasts them in each iteration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from contract.rows.items import ItemsDocument, read_votes
from contract.stores.store import Storage
from jvm import session, task_store
from metrics.labelers.form import Form, Parameters, Sums
from metrics.labelers.gathered import Gathered, Part, add_left_out, count_given, split_documents
from metrics.labelers.votes import Index, list_pairs, select_votes


def gather_votes(storage: Storage, documents: Sequence[ItemsDocument], spark_conf: Mapping[str, str] | None = None) -> Gathered:
    """Reads the votes of the items of some days in tasks, which keep them."""
    context = session.get_session(spark_conf, hands_out=True).sparkContext
    at, parts = task_store.describe(storage), list(split_documents(documents))
    selected = context.parallelize(parts, max(len(parts), 1)).map(lambda part: _select(at, part)).cache()
    told = selected.map(_tell).collect()
    index = Index.of([pairs for pairs, _, _ in told])
    known = context.broadcast(index)
    blocks = selected.filter(lambda found: found[0].num_rows > 0).map(lambda found: known.value.encode(found[0])).cache()
    given = blocks.map(lambda block: count_given(known.value, block)).fold(np.zeros(len(index.labelers), np.int64), np.add)
    selected.unpersist()

    def add_up(form: Form, parameters: Parameters | None) -> Sums:
        sent = context.broadcast((form, parameters))
        try:
            found = blocks.map(lambda block: sent.value[0].expect(block, sent.value[1])).treeReduce(_add_sums)
        finally:
            sent.destroy()
        assert isinstance(found, Sums)
        return found

    return Gathered(index, given, sum(items for _, _, items in told), add_left_out([left for _, left, _ in told]), add_up)


def _select(at: task_store.Where, part: Part) -> tuple[pa.Table, dict[str, int]]:
    """Reads a part, in a task."""
    return select_votes(read_votes(task_store.open_there(at), *part))


def _tell(found: tuple[pa.Table, dict[str, int]]) -> tuple[pa.Table, dict[str, int], int]:
    """Returns (which labeler gave which label, votes left out, items) of a part."""
    table, left = found
    return list_pairs(table), left, len(table["item"].unique())


def _add_sums(one: Sums, other: Sums) -> Sums:
    return one.add(other)
