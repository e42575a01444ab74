"""The predictions of a day that both the live version and the shadow answered: the distinct rows of each role (rule 2), joined.

No label is looked at: those come from items (contract/rows/items.py). Only the rows whose id has a row of the other role are
sorted, so a day without a shadow costs the reading of one column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract import clock
from contract.counts import UNNAMED
from contract.ids import UUID7
from contract.records import PREDICTION, arrow_type
from contract.rows.reading import read_columns
from contract.stores.store import Storage
from jobs.engines.arrays import join_chunks
from jobs.engines.embedded.read import convert
from jobs.engines.question import Question

LIVE, SHADOW = "live", "shadow"
COLUMNS = ("prediction_id", "predicted_at", "recorded_at", "model", "model_version", "predicted_label", "confidence", "role")
# Of rows of one id the first by these is distinct (rule 2). Those that are equal in all of them name the same class.
ORDER = ("prediction_id", "predicted_at", "model_version", "predicted_label", "is_nan", "confidence", "recorded_at", "model")
PAIRS = pa.schema([(name, pa.string()) for name in ("prediction_id", "live", "predicted", "shadow", "shadow_predicted")])


@dataclass(frozen=True)
class DayPairs:
    """`pairs`: a row (PAIRS) per prediction that both answered; `rows`: distinct rows of the shadow, paired or not."""

    pairs: pa.Table
    rows: int


def read_pairs(storage: Storage, day: str, keys: Sequence[str], question: Question) -> DayPairs:
    """Reads the files of predictions of a day as they were known at the question's `as_of`. ForeignSchema."""
    if not any(_has_shadow(storage, key, question) for key in keys):
        return DayPairs(PAIRS.empty_table(), 0)
    rows = pa.concat_tables([_read_file(storage, key, question) for key in keys])
    found = {role: _list_distinct(rows.filter(pc.equal(rows["role"], role)), day, question) for role in (SHADOW, LIVE)}
    shadow, live = found[SHADOW], found[LIVE]
    place = pc.index_in(shadow["prediction_id"], join_chunks(live["prediction_id"]))
    paired = pc.is_valid(place)
    mine, theirs = shadow.filter(paired), live.take(place.filter(paired))
    columns = [mine["prediction_id"], theirs["model_version"], theirs["predicted_label"], mine["model_version"],
               mine["predicted_label"]]
    return DayPairs(pa.table(columns, schema=PAIRS), shadow.num_rows)


def _has_shadow(storage: Storage, key: str, question: Question) -> bool:
    table = read_columns(storage, key, ["role"])
    words = table["role"].cast(pa.string()).unique().to_pylist() if table.num_columns else []
    return any(question.resolve_role(word) == SHADOW for word in words)


def _read_file(storage: Storage, key: str, question: Question) -> pa.Table:
    """The columns of a file in the record's own types, with roles as rule 2 reads them."""
    table = read_columns(storage, key, COLUMNS)
    schema = pa.schema([(name, arrow_type(PREDICTION.field(name).type)) for name in COLUMNS])
    there = {name: convert(join_chunks(table[name]), schema.field(name).type) for name in table.column_names}
    made = pa.table([there.get(name, pa.nulls(table.num_rows, schema.field(name).type)) for name in COLUMNS], schema=schema)
    encoded = join_chunks(made["role"]).dictionary_encode()
    roles = pa.array([question.resolve_role(word) for word in encoded.dictionary.to_pylist()], pa.string())
    resolved = pc.if_else(pc.is_null(made["role"]), pa.scalar(LIVE), roles.take(encoded.indices))
    return made.set_column(COLUMNS.index("role"), "role", resolved)


def _list_distinct(rows: pa.Table, day: str, question: Question) -> pa.Table:
    """The distinct predictions of rows of one role (rule 2), of the question's model."""
    good = _is_named(rows["prediction_id"])
    for name in ("model", "model_version", "predicted_label"):
        good = pc.and_(good, _is_named(rows[name]))
    good = pc.and_(good, pc.and_(pc.is_valid(rows["predicted_at"]), pc.not_equal(rows["predicted_label"], UNNAMED)))
    rows = rows.filter(pc.fill_null(good, False))
    known = pc.max_element_wise(*(rows[name].cast(pa.int64()) for name in ("predicted_at", "recorded_at")))
    rows = rows.filter(pc.and_(pc.less_equal(known, question.as_of), _may_lie_in(rows["prediction_id"], day)))
    order = pc.sort_indices(_split_nan(rows), [(name, "ascending") for name in ORDER], null_placement="at_start")
    ids = join_chunks(rows["prediction_id"].take(order))
    first = np.ones(len(ids), bool)
    first[1:] = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
    rows = rows.take(order).filter(pa.array(first))
    return rows.filter(pc.equal(rows["model"], question.model)).combine_chunks()


def _split_nan(rows: pa.Table) -> pa.Table:
    """The rows with a column that says where the confidence is NaN, which comes last and not with the nulls."""
    confidence = rows["confidence"]
    nan = pc.fill_null(pc.is_nan(confidence), False)
    numbers = pc.if_else(nan, pa.scalar(None, pa.float64()), confidence)
    return rows.set_column(rows.column_names.index("confidence"), "confidence", numbers).append_column("is_nan", nan)


def _is_named(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.greater(pc.binary_length(column), 0)


def _may_lie_in(ids: pa.ChunkedArray, day: str) -> pa.ChunkedArray:
    """Whether rows with these ids may lie in a day's partition (contract.ids.may_lie_in), of all at once."""
    first = clock.to_us(clock.parse_moment(day + "T00:00:00Z")) // 1000
    low, high = (f"{ms:012x}" for ms in (first, first + clock.US_PER_DAY // 1000))
    parts = (pc.utf8_slice_codeunits(ids, *ends) for ends in ((0, 8), (9, 13)))
    moment = pc.utf8_lower(pc.binary_join_element_wise(*parts, ""))
    inside = pc.and_(pc.greater_equal(moment, low), pc.less(moment, high))
    return pc.or_(inside, pc.invert(pc.match_substring_regex(ids, f"^{UUID7.pattern}$")))


def select(pairs: pa.Table, items: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The pairs that have an item of the live row, with these columns of it."""
    place = pc.index_in(pairs["prediction_id"], join_chunks(items["prediction_id"]))
    labelled = pc.is_valid(place)
    found = items.select(list(columns)).take(place.filter(labelled))
    kept = pairs.filter(labelled)
    for name in columns:
        kept = kept.append_column(name, found[name])
    return kept
