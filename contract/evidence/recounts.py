"""Recounts: what an evaluation's counts would be without one person (section `recounts` of its evidence).

The document says who the people are; the table `recounts` beside `evaluation.json` says by how much each cell of each day
changes without them. Added to the counts of the same days, the changes give the counts without that person, so a gate judges
them as it judges the counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict

from contract import layout
from contract.documents.version_figures import Count, Figure
from contract.errors import Mismatch, NotFound
from contract.records import Field, TableSchema
from contract.stores.store import Storage

if TYPE_CHECKING:
    import pyarrow as pa

    from contract.documents.evaluation import Evaluation

TABLE = "recounts"  # the name of section and table
Kind = Literal["labeler", "client"]
LABELER: Kind = "labeler"
CLIENT: Kind = "client"
CHANGES = TableSchema(TABLE, (
    Field("kind", "string", "labeler or client"),
    Field("name", "string", "who is left out; null: votes that name nobody"),
    Field("day", "string", "prediction day"),
    Field("model_version", "string", "of the cell"),
    Field("predicted", "string", "of the cell"),
    Field("label", "string", "of the cell: the consensus; null: unlabelled"),
    Field("origin", "string", "of the cell; null: unlabelled"),
    Field("n", "int64", "predictions that this cell has more without that person (negative: fewer)"),
    Field("n_weighted", "int64", "the same of rows with a known weight"),
    Field("sum_weight", "decimal", "the same of their weights, floor(2^16 / p)"),
    Field("sum_weight_squared", "decimal", "the same of the squares of those"),
))


class Without(TypedDict):
    """One person, and the version's accuracy without them, of the origin that its `estimate` rests on.

    `votes`: votes of a labeler; of a client the predictions that its key sent and the votes that were kept under it, each
    labelled prediction once. `share`: of all votes, or of all labelled predictions, of the version.
    """

    kind: Kind
    name: str | None
    version: str
    votes: Count
    share: float
    accuracy: Figure


class Recounts(TypedDict):
    """Who was left out, the largest first; `days_left_out` have no labelled rows any more and count in full."""

    people: list[Without]
    most: Count  # people of a kind and version who are looked at
    days_left_out: list[str]
    sentence: str


def read_changes(storage: Storage, evaluation: Evaluation, evaluation_id: str) -> pa.Table | None:
    """Reads the changes of an evaluation, in the schema of CHANGES; None when it was not asked for recounts.

    Mismatch when the table that it promises is gone or is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = evaluation.get("evidence", {}).get("recounts")
    if found is None:
        return None
    if not found["people"]:
        return CHANGES.arrow().empty_table()
    key = layout.evaluation_table(evaluation["model"], evaluation_id, TABLE)
    try:
        return pq.read_table(pa.BufferReader(storage.read(key))).select(CHANGES.names).cast(CHANGES.arrow())
    except (NotFound, OSError, pa.ArrowException, KeyError) as error:
        raise Mismatch(f"{storage.uri(key)}: expected the recounts that the evaluation promises, got {error}. Evaluate again: "
                       f"trueup evaluate --evidence {TABLE}.") from error
