"""The predictions of a day that both the live version and the shadow answered: the distinct rows of each role (rule 2), joined.

No label is looked at: those come from items (contract/rows/items.py). A day without rows of a shadow costs the reading of one
column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from contract.records import PREDICTION, arrow_type
from contract.rows.reading import read_columns
from contract.stores.store import Storage
from jobs.engines.arrays import join_chunks
from jobs.engines.distinct import list_distinct
from jobs.engines.embedded.read import convert_table
from jobs.engines.question import Question

LIVE, SHADOW = "live", "shadow"
COLUMNS = ("prediction_id", "predicted_at", "recorded_at", "model", "model_version", "predicted_label", "confidence", "role")
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
    found = {role: list_distinct(rows.filter(pc.equal(rows["role"], role)), day, question) for role in (SHADOW, LIVE)}
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
    schema = pa.schema([(name, arrow_type(PREDICTION.field(name).type)) for name in COLUMNS])
    made = convert_table(read_columns(storage, key, COLUMNS), schema)
    encoded = join_chunks(made["role"]).dictionary_encode()
    roles = pa.array([question.resolve_role(word) for word in encoded.dictionary.to_pylist()], pa.string())
    resolved = pc.if_else(pc.is_null(made["role"]), pa.scalar(LIVE), roles.take(encoded.indices))
    return made.set_column(COLUMNS.index("role"), "role", resolved)


def select(pairs: pa.Table, items: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The pairs that have an item of the live row, with these columns of it."""
    place = pc.index_in(pairs["prediction_id"], join_chunks(items["prediction_id"]))
    labelled = pc.is_valid(place)
    found = items.select(list(columns)).take(place.filter(labelled))
    kept = pairs.filter(labelled)
    for name in columns:
        kept = kept.append_column(name, found[name])
    return kept
