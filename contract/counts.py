"""The counts of one model and one prediction day: their tables, how they add, and how they are stored.

Engines (jobs/engines/) make them, `contract.metrics` divides them. Sums are integers, so any order gives the same:
`sum_confidence` adds floor(confidence * 2^30) of the rows that have a bin, a weight is floor(2^16 / p).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from contract.records import Field, Record

RULES = "1"
CONFIDENCE_SCALE, WEIGHT_SCALE = 2**30, 2**16
SMALLEST_P = 2.0**-20
BINS = 20
MOST_SLICE_VALUES, OTHER = 200, "other"
ORIGINS = ("audit", "review", "import", "feedback")  # highest class first

ROWS = ("predictions", "invalid_predictions", "misfiled_predictions", "future_predictions", "duplicate_predictions",
        "labels", "other_model", "invalid", "misfiled", "future", "duplicate", "orphan", "superseded", "withdrawn",
        "vote")

CELLS = Record("cells", (
    Field("model_version", "string", "key"),
    Field("predicted", "string", "key: predicted_label"),
    Field("confidence_bin", "int32", "key: 0…19; null for NaN, null or outside [0, 1]"),
    Field("label", "string", "key: the consensus; null when unlabelled, as are the next four"),
    Field("origin", "string", "key: origin class of the deciding votes"),
    Field("saw_prediction", "bool", "key: any deciding vote saw it; else null when any is null; else false"),
    Field("rank", "int32", "key: place of label in top_labels; minus the list's length when not in it; null: no list"),
    Field("split", "bool", "key: the deciding votes name more than one label"),
    Field("n", "int64", "distinct predictions"),
    Field("sum_confidence", "int64", "sum of floor(confidence * 2^30) over rows with a bin"),
    Field("n_weighted", "int64", "rows with a known weight"),
    Field("sum_weight", "decimal", "sum of floor(2^16 / p)"),
    Field("sum_weight_squared", "decimal", "sum of the squares of those"),
))
SLICES = Record("slices", (
    Field("slice", "string", "key: name of the declared slice"),
    Field("value", "string", "key: at most 200 a slice, the rest in 'other'; null when the row has none"),
    Field("model_version", "string", "key"),
    Field("origin", "string", "key; null when unlabelled"),
    Field("predicted", "string", "key"),
    Field("label", "string", "key: the consensus; null when unlabelled"),
    Field("n", "int64", "distinct predictions"),
))
PEOPLE = Record("people", (
    Field("labeler", "string", "key; null: nobody named"),
    Field("votes", "int64", "label rows that ended as `vote`"),
    Field("agreements", "int64", "of them, those that name the consensus of their prediction"),
))
COINCIDENCES = Record("coincidences", (
    Field("label", "string", "key"),
    Field("other_label", "string", "key"),
    Field("votes", "int32", "key: deciding votes on the item, 2 or more"),
    Field("n", "int64", "ordered pairs of deciding votes of different people on one item"),
))
DELAYS = Record("delays", (
    Field("days", "int32", "key: floor((labeled_at - predicted_at) / 24 h), of label rows that ended as `vote`"),
    Field("origin", "string", "key: origin class of the row"),
    Field("n", "int64", "label rows"),
))
TABLES = {r.name: r for r in (CELLS, SLICES, PEOPLE, COINCIDENCES, DELAYS)}
VALUES = {"n", "sum_confidence", "n_weighted", "sum_weight", "sum_weight_squared"}
VALUES_OF = {"cells": VALUES, "slices": {"n"}, "people": {"votes", "agreements"}, "coincidences": {"n"},
             "delays": {"n"}}


@dataclass
class DayCounts:
    """What an engine says of one model on one prediction day.

    `tables` holds one pyarrow Table for each name in TABLES, in that record's Arrow schema and in canonical order
    (`canonical`). `rows` has every name in ROWS. `known_through` is the largest known time (us since 1970) among the
    rows that were counted as known, 0 when none; `next_future` the smallest known time that was too late, or None.
    """

    day: str
    tables: dict[str, Any]
    rows: dict[str, int]
    known_through: int = 0
    next_future: int | None = None
    partial: list[str] = field(default_factory=list)


def keys_of(table: str) -> list[str]:
    """The key columns of a counts table."""
    return [n for n in TABLES[table].names if n not in VALUES_OF[table]]


def empty_tables() -> dict[str, Any]:
    """The five tables without rows."""
    return {n: r.arrow().empty_table() for n, r in TABLES.items()}


def canonical(name: str, table: Any) -> Any:
    """The same counts in the record's schema and one order (keys ascending, nulls first), equal keys added up."""
    import pyarrow as pa

    schema = TABLES[name].arrow()
    table = pa.table([_cast(table.column(f.name), f.type) for f in schema], schema=schema)
    return _sorted(name, _added(name, table))


def _cast(column: Any, type_: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_decimal(column.type) and column.type != type_ or pa.types.is_integer(column.type):
        return column.cast(type_, safe=True)
    return column.cast(type_)


def _added(name: str, table: Any) -> Any:
    keys = keys_of(name)
    values = [n for n in TABLES[name].names if n in VALUES_OF[name]]
    grouped = table.group_by(keys, use_threads=False).aggregate([(v, "sum") for v in values])
    grouped = grouped.rename_columns([c.removesuffix("_sum") for c in grouped.column_names])
    schema = TABLES[name].arrow()
    import pyarrow as pa

    return pa.table([grouped.column(f.name).cast(f.type) for f in schema], schema=schema)


def _sorted(name: str, table: Any) -> Any:
    import pyarrow.compute as pc

    order = [(k, "ascending") for k in keys_of(name)]
    return table.take(pc.sort_indices(table, sort_keys=order, null_placement="at_start"))


def add(parts: Iterable[DayCounts]) -> tuple[dict[str, Any], dict[str, int]]:
    """The tables and row counts of several days (or clusters), added. Any order gives the same."""
    import pyarrow as pa

    parts = list(parts)
    if not parts:
        return empty_tables(), dict.fromkeys(ROWS, 0)
    tables = {n: canonical(n, pa.concat_tables([p.tables[n] for p in parts])) for n in TABLES}
    return tables, {r: sum(p.rows[r] for p in parts) for r in ROWS}
