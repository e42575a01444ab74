"""Margins: counts added up over the keys that a figure does not ask for.

Whole cells (label, predicted, confidence bin, rank, …) become more for as long as rows come; their margins are no more
than pairs of classes, or classes times bins or ranks. So an evaluation holds margins. A margin has the columns of the table
that it is of: `canonical` (contract/counts.py) adds margins up, `by_version` (metrics/cells.py) reads them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contract.counts import TABLES, VALUES_OF, sum_by

if TYPE_CHECKING:
    import pyarrow as pa

RIGHT, WRONG = "right", "wrong"


def by_pair(cells: "pa.Table") -> "pa.Table":
    """(version, predicted, label) with `n`: the confusion, and the predictions of each class."""
    return _margin("cells", cells, ["model_version", "predicted", "label"], ["n"])


def by_bin(cells: "pa.Table") -> "pa.Table":
    """(version, predicted, bin, right or wrong) with `n` and `sum_confidence`: what confidence is worth."""
    return _margin("cells", _merge_labels(cells), ["model_version", "predicted", "confidence_bin", "label"],
                   ["n", "sum_confidence"])


def by_rank(cells: "pa.Table") -> "pa.Table":
    """(version, predicted, rank, split, right or wrong) with `n`: top-k accuracy, and the labels that differ."""
    return _margin("cells", _merge_labels(cells), ["model_version", "predicted", "label", "rank", "split"], ["n"])


def by_value(slices: "pa.Table") -> "pa.Table":
    """Of declared slices: (slice, value, version, origin, right or wrong) with `n`."""
    return _margin("slices", _merge_labels(slices, RIGHT),
                   ["slice", "value", "model_version", "origin", "predicted", "label"], ["n"])


def _merge_labels(table: "pa.Table", predicted: str | None = None) -> "pa.Table":
    """The same rows with a label that says only whether it is the predicted one; null stays null.

    `predicted`: what stands for every predicted label, too.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    right = pc.equal(table["label"], table["predicted"])
    named = table["predicted"] if predicted is None else pa.repeat(predicted, table.num_rows)
    other = pc.if_else(pc.equal(named, WRONG), RIGHT, WRONG)  # a label that is not the predicted one, whatever that is
    columns = {"predicted": named, "label": pc.if_else(right, named, other)}
    return pa.table([columns.get(name, table[name]) for name in table.column_names], table.column_names)


def _margin(name: str, table: "pa.Table", keys: Sequence[str], values: Sequence[str]) -> "pa.Table":
    """`table` added up over all keys but these, which stand in its own order, so the sum is canonical; the others are null,
    values that are not named 0."""
    import pyarrow as pa

    schema = TABLES[name].arrow()
    found = sum_by(table, keys, values)
    columns = [found[n] if n in found.column_names else pa.repeat(0, found.num_rows) if n in VALUES_OF[name] else
               pa.nulls(found.num_rows) for n in schema.names]
    return pa.table([column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)
