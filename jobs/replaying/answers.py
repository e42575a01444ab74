"""The distinct predictions of a model on one day, by rule 2 of docs/design.md, as an Arrow table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract import ids
from contract.counts import UNNAMED
from contract.errors import ForeignSchema
from contract.layout import PREDICTIONS
from contract.records import PREDICTION, arrow_type
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Storage
from jobs.engines.arrays import join_chunks
from jobs.engines.embedded.read import convert
from jobs.engines.question import Question

if TYPE_CHECKING:
    import pyarrow as pa

ANSWER = ("prediction_id", "predicted_at", "recorded_at", "model", "model_version", "predicted_label", "confidence", "role",
          "image_sha256", "image_uri")
KEPT = ("client", "request_id", "source_uri", "attributes", "width", "height", "bytes")  # of the request: replayed, too
TEXTS = ("prediction_id", "model", "model_version", "predicted_label")
ORDER = ("prediction_id", "predicted_at", "model_version", "predicted_label", "_confidence", "recorded_at", "model",
         "role", "image_sha256", "image_uri")  # of rows with one id the first counts: rule 2, ties in schema order


def read_answers(storage: Storage, question: Question, day: str, more: tuple[str, ...] = ()) -> pa.Table:
    """Reads the distinct predictions of the question's model, role and version that were known, by the bytes of their ids.

    Columns: ANSWER, then `more`, in the record's own types. ForeignSchema: a file cannot be read.
    """
    import pyarrow as pa

    columns = (*ANSWER, *more)
    schema = pa.schema([(name, arrow_type(PREDICTION.field(name).type)) for name in columns])
    found = [schema.empty_table()]
    for entry in list_rows(storage, PREDICTIONS, day):
        table = read_columns(storage, entry.key, columns, PREDICTION.required)
        try:
            made = [convert(join_chunks(table[f.name]), f.type) if f.name in table.column_names
                    else pa.nulls(table.num_rows, f.type) for f in schema]
        except pa.ArrowException as error:
            raise ForeignSchema(f"{storage.uri(entry.key)}: expected the columns of docs/design.md, got: {error}.") from error
        found.append(_keep_asked(pa.table(made, schema=schema), question))
    kept = _keep_first(_keep_of_day(pa.concat_tables(found), day))
    return _keep_equal(kept, "model", question.model)


def _keep_asked(table: pa.Table, question: Question) -> pa.Table:
    """Keeps valid rows of the role and version that are asked for, known at the moment of the question."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = [word for word in table["role"].unique().to_pylist() if question.resolve_role(word) == question.role]
    keep = pc.is_in(table["role"], pa.array(words, pa.string()))
    for name in TEXTS:
        keep = pc.and_(keep, pc.fill_null(pc.not_equal(table[name], ""), False))
    keep = pc.and_(keep, pc.fill_null(pc.not_equal(table["predicted_label"], UNNAMED), False))
    for name, unknown in (("predicted_at", False), ("recorded_at", True)):
        keep = pc.and_(keep, pc.fill_null(pc.less_equal(table[name].cast(pa.int64()), question.as_of), unknown))
    table = table.filter(keep)
    return table if question.version is None else _keep_equal(table, "model_version", question.version)


def _keep_equal(table: pa.Table, column: str, value: str) -> pa.Table:
    import pyarrow.compute as pc

    return table.filter(pc.equal(table[column], value))


def _keep_of_day(table: pa.Table, day: str) -> pa.Table:
    import pyarrow as pa

    return table.filter(pa.array([ids.may_lie_in(day, uuid) for uuid in table["prediction_id"].to_pylist()], pa.bool_()))


def _keep_first(table: pa.Table) -> pa.Table:
    """Keeps the first row of each id, whatever the model, by ORDER: nulls first, NaN last."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not table.num_rows:
        return table
    confidence = table["confidence"]
    sortable = pc.if_else(pc.is_nan(confidence), pa.scalar(np.inf), confidence)
    places = pc.sort_indices(table.append_column("_confidence", sortable), sort_keys=[(n, "ascending") for n in ORDER],
                             null_placement="at_start")
    ordered = table.take(places)
    names = ordered["prediction_id"].to_pylist()
    return ordered.filter(pa.array([n == 0 or name != names[n - 1] for n, name in enumerate(names)], pa.bool_()))
