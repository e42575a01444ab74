"""Margins (marginal counts): counts added up over the keys that a figure does not ask for.

Whole cells (label, predicted, confidence bin, rank, …) become more for as long as rows come; their margins are no more
than pairs of classes, or classes times bins or ranks. So an evaluation holds margins. A margin has the columns of the table
that it is of: `canonical` (contract/counts.py) adds margins up, `by_version` (metrics/cells.py) reads them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contract.counts import TABLES, UNNAMED, VALUES_OF, sum_by

if TYPE_CHECKING:
    import pyarrow as pa

RIGHT, WRONG = "right", "wrong"
WEIGHTS = ["n", "n_weighted", "sum_weight", "sum_weight_squared"]


def by_pair(cells: "pa.Table") -> "pa.Table":
    """(version, predicted, label) with `n`: the confusion, and the predictions of each class."""
    return _margin("cells", cells, ["model_version", "predicted", "label"], ["n"])


def by_bin(cells: "pa.Table") -> "pa.Table":
    """(version, predicted, bin, right or wrong) with `n` and `sum_confidence`: what confidence is worth."""
    return _margin("cells", _merge_labels(cells), ["model_version", "predicted", "confidence_bin", "label"],
                   ["n", "sum_confidence"])


def by_rank(cells: "pa.Table") -> "pa.Table":
    """(version, predicted, rank, split, right, wrong or `≠`) with `n`: top-k accuracy, and the labels that differ."""
    return _margin("cells", _merge_labels(cells, keep=UNNAMED), ["model_version", "predicted", "label", "rank", "split"], ["n"])


def by_weighted_pair(cells: "pa.Table") -> "pa.Table":
    """(version, origin, predicted, label) with the weights, of rows whose weight is known: the confusion that they stand for."""
    return _margin_or_empty("cells", _select_weighted(cells), ["model_version", "predicted", "label", "origin"], WEIGHTS)


def by_weighted_bin(cells: "pa.Table") -> "pa.Table":
    """(version, origin, bin, right or wrong) with the weights, of rows whose weight is known."""
    return _margin_or_empty("cells", _merge_labels(_select_weighted(cells), RIGHT),
                            ["model_version", "predicted", "confidence_bin", "label", "origin"],
                            [*WEIGHTS, "sum_weight_confidence"])


def by_price(cells: "pa.Table") -> "pa.Table":
    """(version, predicted, bin, label, origin) with `n` and the weights, of labelled rows: what each kind of mistake costs."""
    import pyarrow.compute as pc

    return _margin_or_empty("cells", cells.filter(pc.is_valid(cells["label"])),
                            ["model_version", "predicted", "confidence_bin", "label", "origin"], WEIGHTS)


def by_value(slices: "pa.Table") -> "pa.Table":
    """Of declared slices: (slice, value, version, origin, right or wrong) with `n` and the weights."""
    return _margin_or_empty("slices", _merge_labels(slices, RIGHT),
                            ["slice", "value", "model_version", "origin", "predicted", "label"], WEIGHTS)


def _select_weighted(cells: "pa.Table") -> "pa.Table":
    """The labelled cells with a known weight. Of a cell all rows have one, or some have none and add nothing to its sums."""
    import pyarrow.compute as pc

    return cells.filter(pc.and_(pc.is_valid(cells["label"]), pc.greater(cells["n_weighted"], 0)))


def _merge_labels(table: "pa.Table", predicted: str | None = None, keep: str | None = None) -> "pa.Table":
    """The same rows with a label that says only whether it is the predicted one; null stays null, and so does `keep`.

    `predicted`: what stands for every predicted label, too.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    right = pc.equal(table["label"], table["predicted"])
    named = table["predicted"] if predicted is None else pa.repeat(predicted, table.num_rows)
    other = pc.if_else(pc.equal(named, WRONG), RIGHT, WRONG)  # a label that is not the predicted one, whatever that is
    label = pc.if_else(right, named, other)
    if keep is not None:
        label = pc.if_else(pc.equal(table["label"], keep), keep, label)
    columns = {"predicted": named, "label": label}
    return pa.table([columns.get(name, table[name]) for name in table.column_names], table.column_names)


def _margin_or_empty(name: str, table: "pa.Table", keys: Sequence[str], values: Sequence[str]) -> "pa.Table":
    """The margin, at no cost where there are no rows: most days have neither weights nor slices."""
    return _margin(name, table, keys, values) if table.num_rows else TABLES[name].arrow().empty_table()


def _margin(name: str, table: "pa.Table", keys: Sequence[str], values: Sequence[str]) -> "pa.Table":
    """`table` added up over all keys but these, which stand in its own order, so the sum is canonical; the others are null,
    values that are not named 0."""
    import pyarrow as pa

    schema = TABLES[name].arrow()
    found = sum_by(table, keys, values)
    columns = [found[n] if n in found.column_names else pa.repeat(0, found.num_rows) if n in VALUES_OF[name] else
               pa.nulls(found.num_rows) for n in schema.names]
    return pa.table([column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)
