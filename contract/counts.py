"""The counts of one model and one prediction day: their tables, and how they add. contract/counts_store.py stores them.

Engines (jobs/engines/) make them, `metrics` divides them. Sums are integers, so any order gives the same:
`sum_confidence` adds floor(confidence * 2^30) of the rows that have a bin, a weight is floor(2^16 / p).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from contract.records import Field, TableSchema

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

RULES = "2"
UNNAMED = "≠"  # a label: the answer is wrong, its class is not named (rule 4a)
ROLES = ("live", "shadow", "canary", "batch", "replay")
BESIDE = ("shadow", "replay")  # roles of rows beside an answer of the same id, by another version
CONFIDENCE_SCALE, WEIGHT_SCALE = 2**30, 2**16
SMALLEST_P = 2.0**-20
# What cannot be: a time before 2000-01-01 (us since 1970), and a probability further outside [0, 1] than rounding takes it.
EARLIEST = 946_684_800_000_000
ROUNDING = 1e-6
BINS = 20
MOST_SLICE_VALUES, OTHER = 200, "other"
Origin = Literal["audit", "review", "import", "feedback"]
ORIGINS: tuple[Origin, ...] = ("audit", "review", "import", "feedback")  # highest class first

ROWS = ("predictions", "invalid_predictions", "misfiled_predictions", "future_predictions", "duplicate_predictions",
        "labels", "other_model", "unknown_role", "invalid", "misfiled", "future", "duplicate", "orphan", "other_answer",
        "superseded", "withdrawn", "vote", "impossible_predictions", "impossible_labels")

CELLS = TableSchema("cells", (
    Field("model_version", "string", "key"),
    Field("predicted", "string", "key: predicted_label"),
    Field("confidence_bin", "int32", "key: 0…19; null for NaN, null or outside [0, 1]"),
    Field("label", "string", "key: the consensus; null when unlabelled, as are the next four"),
    Field("origin", "string", "key: origin class of the deciding votes"),
    Field("saw_prediction", "bool", "key: any deciding vote saw it; else null when any is null; else false"),
    Field("rank", "int32", "key: place of label in top_labels; minus the list's length when not in it; -1 of `≠`; null: no list"),
    Field("split", "bool", "key: the deciding votes name more than one label"),
    Field("n", "int64", "distinct predictions"),
    Field("sum_confidence", "int64", "sum of floor(confidence * 2^30) over rows with a bin"),
    Field("n_weighted", "int64", "rows with a known weight"),
    Field("sum_weight", "decimal", "sum of floor(2^16 / p)"),
    Field("sum_weight_squared", "decimal", "sum of the squares of those"),
    Field("sum_weight_confidence", "decimal", "sum of floor(2^16 / p) * floor(confidence * 2^30), of those with a bin"),
))
SLICES = TableSchema("slices", (
    Field("slice", "string", "key: name of the declared slice"),
    Field("value", "string", "key: at most 200 a slice, the rest in 'other'; null when the row has none"),
    Field("model_version", "string", "key"),
    Field("origin", "string", "key; null when unlabelled"),
    Field("predicted", "string", "key"),
    Field("label", "string", "key: the consensus; null when unlabelled"),
    Field("n", "int64", "distinct predictions"),
    Field("n_weighted", "int64", "rows with a known weight"),
    Field("sum_weight", "decimal", "sum of floor(2^16 / p)"),
    Field("sum_weight_squared", "decimal", "sum of the squares of those"),
))
PEOPLE = TableSchema("people", (
    Field("labeler", "string", "key; null: nobody named"),
    Field("votes", "int64", "label rows that ended as `vote`"),
    Field("agreements", "int64", "of them, those that name the consensus; of `≠` those where it is not the prediction"),
    Field("pairs", "int64", "pairs of one of them and a vote of somebody else on the same prediction"),
    Field("agreeing_pairs", "int64", "of them, those that agree: one label, or `≠` and not the predicted label"),
))
COINCIDENCES = TableSchema("coincidences", (
    Field("label", "string", "key"),
    Field("other_label", "string", "key"),
    Field("votes", "int32", "key: deciding votes on the item, 2 or more"),
    Field("n", "int64", "ordered pairs of deciding votes of different people on one item"),
))
DELAYS = TableSchema("delays", (
    Field("days", "int32", "key: floor((labeled_at - predicted_at) / 24 h), of label rows that ended as `vote`"),
    Field("origin", "string", "key: origin class of the row"),
    Field("n", "int64", "label rows"),
))
TABLES = {r.name: r for r in (CELLS, SLICES, PEOPLE, COINCIDENCES, DELAYS)}
FEW_NUMBERS = 1 << 20  # a column of whole numbers in so small a range is coded by subtracting the least
WEIGHTS = {"n_weighted", "sum_weight", "sum_weight_squared"}
VALUES_OF = {"cells": {"n", "sum_confidence", "sum_weight_confidence", *WEIGHTS}, "slices": {"n", *WEIGHTS},
             "people": {"votes", "agreements", "pairs", "agreeing_pairs"}, "coincidences": {"n"}, "delays": {"n"}}


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


def rank_role(word: object) -> int:
    """Ranks the role of a row (null: live) among rows of one id: 0 the live answer, 1 another answer, 2 one beside it."""
    role = str(word).lower()
    return 2 if role in BESIDE else int(role in ROLES[1:])


def keys_of(table: str) -> list[str]:
    """The key columns of a counts table."""
    return [n for n in TABLES[table].names if n not in VALUES_OF[table]]


def empty_tables() -> dict[str, Any]:
    """The five tables without rows."""
    return {n: r.arrow().empty_table() for n, r in TABLES.items()}


def canonical(name: str, table: "pa.Table") -> "pa.Table":
    """The same counts in the record's schema and one order (keys ascending, nulls first), equal keys added up."""
    import pyarrow as pa

    schema = TABLES[name].arrow()
    table = pa.table([_cast(table.column(f.name), f.type) for f in schema], schema=schema).combine_chunks()
    return _add_equal_rows(table, keys_of(name))


def sum_by(table: "pa.Table", keys: Sequence[str], values: Sequence[str] = ("n",)) -> "pa.Table":
    """`table`'s `values` (whole numbers) added up by `keys`; keys ascending, nulls first.

    Arrow's own group_by will not do where keys may be null: of two or more columns Arrow 14 makes several groups of one
    key then, with AVX2 and more than 32 rows (apache/arrow issue 42231).
    """
    return _add_equal_rows(table.select([*keys, *values]), keys)


def _cast(column: "pa.ChunkedArray", type_: "pa.DataType") -> "pa.ChunkedArray":
    return column if column.type == type_ else column.cast(type_)


def _pack_keys(columns: Sequence[Any]) -> "np.ndarray":
    """One number for each row; rows compare by it as by all their key columns. Far cheaper to sort than texts."""
    import numpy as np

    key, size = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        codes, many = _codes(column)
        if size * many >= 2**62:
            key = np.unique(key, return_inverse=True)[1]
            size = int(key.max(initial=0)) + 1
        key, size = key * many + codes, size * many
    return key


def _codes(column: "pa.ChunkedArray") -> tuple[Any, int]:
    """The place of each value among the column's values, from 1, nulls 0; and one more than the last place."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(column.type) and len(column) > column.null_count:
        low, high = pc.min_max(column).as_py().values()
        if high - low < FEW_NUMBERS:
            return pc.fill_null(pc.subtract(column.cast(pa.int64()), low - 1), 0).to_numpy(), high - low + 2
    encoded = column.combine_chunks().dictionary_encode() if column.num_chunks else pa.array([], column.type).dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    values = encoded.dictionary.cast(pa.int8()) if pa.types.is_boolean(column.type) else encoded.dictionary
    place = np.empty(len(values) + 1, np.int64)
    place[pc.sort_indices(values).to_numpy()] = np.arange(1, len(values) + 1)
    place[-1] = 0  # what -1, a null, finds
    return place[pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)], len(values) + 1


def _add_equal_rows(table: "pa.Table", keys: Sequence[str]) -> "pa.Table":
    """The table with the rows of equal keys made one, in the order of the keys; the other columns are added up."""
    import numpy as np
    import pyarrow as pa

    key = _pack_keys([table.column(name) for name in keys])
    order = np.argsort(key, kind="stable")
    first = np.ones(len(key), bool)
    first[1:] = key[order][1:] != key[order][:-1]
    if first.all():
        return table.take(pa.array(order))
    starts = np.flatnonzero(first)
    kept = table.select(list(keys)).take(pa.array(order[starts]))
    return pa.table([kept.column(f.name) if f.name in keys else _sums(table.column(f.name), order, starts)
                     for f in table.schema], schema=table.schema)


def _sums(column: "pa.ChunkedArray", order: "np.ndarray", starts: "np.ndarray") -> "pa.Array":
    """The sums over runs of rows; `order` puts these together, `starts` is where each begins."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    most = max((abs(v) for v in pc.min_max(column).as_py().values() if v is not None), default=0)
    if not column.null_count and not most:  # weights, mostly
        return pa.array(np.zeros(len(starts), np.int64)).cast(column.type)
    if not column.null_count and int(most) * len(column) < 2**63:
        return pa.array(np.add.reduceat(column.cast(pa.int64()).to_numpy()[order], starts)).cast(column.type)
    run = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    wide = column.cast(pa.decimal128(38, 0))  # Arrow's sums of whole numbers go round at 64 bits; the cast below does not
    sums = pa.table([wide.take(pa.array(order)), pa.array(run)], ["v", "run"]).group_by("run").aggregate([("v", "sum")])
    return sums.sort_by("run").column("v_sum").cast(column.type)


def add(parts: Iterable[DayCounts]) -> tuple[dict[str, Any], dict[str, int]]:
    """The tables and row counts of several days (or clusters), added. Any order gives the same."""
    import pyarrow as pa

    parts = list(parts)
    if not parts:
        return empty_tables(), dict.fromkeys(ROWS, 0)
    tables = {n: canonical(n, pa.concat_tables([p.tables[n] for p in parts])) for n in TABLES}
    return tables, {r: sum(p.rows[r] for p in parts) for r in ROWS}
