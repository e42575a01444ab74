"""The distinct predictions of a model on one day, by rule 2 of docs/design.md, as an Arrow table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.errors import ForeignSchema
from contract.layout import PREDICTIONS
from contract.records import PREDICTION, arrow_type
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Storage
from jobs.engines.distinct import list_distinct
from jobs.engines.embedded.read import convert_table
from jobs.engines.question import Question

if TYPE_CHECKING:
    import pyarrow as pa

ANSWER = ("prediction_id", "predicted_at", "recorded_at", "model", "model_version", "predicted_label", "confidence", "role",
          "image_sha256", "image_uri")
KEPT = ("client", "request_id", "source_uri", "attributes", "width", "height", "bytes")  # of the request: copied as they are
THEN = ("role", "image_sha256", "image_uri")  # order rows that are equal in all columns of rule 2


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
            rows = convert_table(table, schema)
        except pa.ArrowException as error:
            raise ForeignSchema(f"{storage.uri(entry.key)}: expected the columns of docs/design.md, got: {error}.") from error
        found.append(_keep_asked(rows, question))
    return list_distinct(pa.concat_tables(found), day, question, THEN)


def _keep_asked(table: pa.Table, question: Question) -> pa.Table:
    """Keeps rows of the role and version that are asked for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = [word for word in table["role"].unique().to_pylist() if question.resolve_role(word) == question.role]
    table = table.filter(pc.is_in(table["role"], pa.array(words, pa.string())))
    return table if question.version is None else table.filter(pc.equal(table["model_version"], question.version))
