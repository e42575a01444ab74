"""The votes of a window in this process, for a fit of labelers; jobs/engines/spark/labelers.py is the same in Spark's tasks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from contract.rows.items import ItemsDocument, read_votes
from contract.stores.store import Storage
from metrics.labelers.form import Form, Parameters, Sums
from metrics.labelers.gathered import Gathered, add_left_out, count_given, split_documents
from metrics.labelers.votes import Index, select_votes


def gather_votes(storage: Storage, documents: Sequence[ItemsDocument]) -> Gathered:
    """Reads the votes of the items of some days; part by part, and only whole numbers are kept."""
    selected = [select_votes(read_votes(storage, *part)) for part in split_documents(documents)]
    index = Index.of([table for table, _ in selected])
    left_out = add_left_out([left for _, left in selected])
    tables = [table for table, _ in selected if table.num_rows]
    del selected
    blocks = []
    while tables:
        blocks.append(index.encode(tables.pop(0)))
    given = np.zeros(len(index.labelers), np.int64)
    for block in blocks:
        given += count_given(index, block)

    def add_up(form: Form, parameters: Parameters | None) -> Sums:
        return reduce(Sums.add, (form.expect(block, parameters) for block in blocks))

    return Gathered(index, given, sum(block.items for block in blocks), left_out, add_up)
