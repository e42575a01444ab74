"""The distinct predictions of rule 2 (docs/design.md#the-rules-of-counting), of a day's files or of rows in an Arrow table.

For code that reads predictions and counts nothing. The engines count by code of their own, so that each checks the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract import clock
from contract.counts import UNNAMED
from contract.errors import ForeignSchema, pass_over
from contract.ids import UUID7
from contract.layout import PREDICTIONS
from contract.records import PREDICTION, arrow_type
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Storage
from jobs.engines.arrays import join_chunks
from jobs.engines.embedded.read import convert_table
from jobs.engines.question import Question

# Of rows of one id the first by these is distinct: nulls first, NaN last. Those that are equal in all name the same class.
ORDER = ("prediction_id", "predicted_at", "model_version", "predicted_label", "is_nan", "confidence", "recorded_at", "model")
COLUMNS = ("prediction_id", "predicted_at", "recorded_at", "model", "model_version", "predicted_label", "confidence", "role",
           "image_sha256", "image_uri")
THEN = ("role", "image_sha256", "image_uri")  # order rows that are equal in ORDER


def read_distinct(storage: Storage, day: str, question: Question, more: Sequence[str] = (),
                  leave_unreadable: bool = False) -> pa.Table:
    """Reads the distinct predictions of the question's model, role and version that were known, by the bytes of their ids.

    Columns: COLUMNS, then `more`, in the record's own types. ForeignSchema: a file cannot be read; with `leave_unreadable` it is
    named and left out.
    """
    columns = (*COLUMNS, *more)
    schema = pa.schema([(name, arrow_type(PREDICTION.field(name).type)) for name in columns])
    found = [schema.empty_table()]
    for entry in list_rows(storage, PREDICTIONS, day):
        try:
            found.append(_keep_asked(_read_file(storage, entry.key, schema), question))
        except ForeignSchema as error:
            if not leave_unreadable:
                raise
            pass_over(error)
    return list_distinct(pa.concat_tables(found), day, question, THEN)


def _read_file(storage: Storage, key: str, schema: pa.Schema) -> pa.Table:
    table = read_columns(storage, key, schema.names, PREDICTION.required)
    try:
        return convert_table(table, schema)
    except pa.ArrowException as error:
        raise ForeignSchema(f"{storage.uri(key)}: expected the columns of docs/design.md, got: {error}.") from error


def _keep_asked(table: pa.Table, question: Question) -> pa.Table:
    """Keeps rows of the role and version that are asked for."""
    words = [word for word in table["role"].unique().to_pylist() if question.resolve_role(word) == question.role]
    table = table.filter(pc.is_in(table["role"], pa.array(words, pa.string())))
    return table if question.version is None else table.filter(pc.equal(table["model_version"], question.version))


def list_distinct(rows: pa.Table, day: str, question: Question, then: Sequence[str] = ()) -> pa.Table:
    """The distinct predictions of the question's model as they were known at its `as_of`, by the bytes of their ids.

    `rows`: of one role, with the columns of ORDER but `is_nan` in the record's own types. `then`: columns that order rows
    which are equal in ORDER.
    """
    good = _is_named(rows["prediction_id"])
    for name in ("model", "model_version", "predicted_label"):
        good = pc.and_(good, _is_named(rows[name]))
    good = pc.and_(good, pc.and_(pc.is_valid(rows["predicted_at"]), pc.not_equal(rows["predicted_label"], UNNAMED)))
    rows = rows.filter(pc.fill_null(good, False))
    known = pc.max_element_wise(*(rows[name].cast(pa.int64()) for name in ("predicted_at", "recorded_at")))
    rows = rows.filter(pc.and_(pc.less_equal(known, question.as_of), _may_lie_in(rows["prediction_id"], day)))
    order = pc.sort_indices(_split_nan(rows), [(name, "ascending") for name in (*ORDER, *then)], null_placement="at_start")
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
