"""What is still to be computed of a day: plans name their predictions before anything is computed.

File names follow from a plan, whichever process carries it out. A part is done when the table of what it could not compute
exists, which is written after its rows; so the next run finishes one that died, and two runs at once agree (as
jobs/score_images.py).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from contract import clock, layout
from contract.documents.document import Document
from contract.errors import AlreadyExists
from contract.sequence import NumberedDocuments
from contract.stores.store import Storage, create_if_absent
from jobs.replaying.part import LEFT_OUT, Part
from jobs.scoring.part import make_text_schema

if TYPE_CHECKING:
    import pyarrow as pa

PART = 512  # predictions whose rows become one file


class ReplayPlan(Document):
    """`scoring/<model>/<version>/replayed/dt=<day>/plan-<n>.json`: predictions of a day that no earlier plan has."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    version: str
    day: str
    at: int  # microseconds since 1970 UTC
    items: str  # key of the Parquet table of its predictions
    count: int
    part: int


def add_plan(storage: Storage, model: str, version: str, day: str, live: pa.Table, part: int = PART) -> None:
    """Adds a plan of the live predictions (jobs/engines/distinct.py) that no plan has; looks again if another run adds one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = NumberedDocuments(storage, layout.replay_plans(model, version, day))
    while True:
        newest = numbers.newest_number()
        known = [chunk for _, plan in list_plans(storage, model, version, day) for chunk in _read_ids(storage, plan).chunks]
        new = live.filter(pc.invert(pc.is_in(live["prediction_id"], pa.chunked_array(known, pa.string()))))
        if not new.num_rows:
            return
        plan = ReplayPlan(model=model, version=version, day=day, at=clock.now_us(), count=new.num_rows, part=part,
                          items=_write_items(storage, model, version, day, new))
        try:
            numbers.append(plan.to_dict(), after=newest)
            return
        except AlreadyExists:
            continue


def list_plans(storage: Storage, model: str, version: str, day: str) -> Iterator[tuple[int, ReplayPlan]]:
    """Yields all plans of a day, oldest first."""
    numbers = NumberedDocuments(storage, layout.replay_plans(model, version, day))
    for n in range(1, numbers.newest_number() + 1):
        yield n, ReplayPlan.parse(numbers.get(n), numbers.uri(n))


def list_parts_left(storage: Storage, model: str, version: str, day: str) -> list[Part]:
    """Lists the parts of a day's plans that are not done."""
    left = []
    for n, plan in list_plans(storage, model, version, day):
        done = {entry.key for entry in storage.list(layout.replay_parts(model, version, day, n))}
        left += [Part(day, n, first, min(plan.part, plan.count - first), plan.items)
                 for first in range(0, plan.count, plan.part)
                 if layout.replay_done(model, version, day, n, first) not in done]
    return left


def read_left_out(storage: Storage, model: str, version: str, day: str) -> pa.Table:
    """Reads what the finished parts of a day could not compute: prediction_id, kind, reason."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = [make_text_schema(LEFT_OUT).empty_table()]
    for n, _ in list_plans(storage, model, version, day):
        for entry in sorted(storage.list(layout.replay_parts(model, version, day, n))):
            found.append(pq.read_table(io.BytesIO(storage.read(entry.key))))
    return pa.concat_tables(found)


def _write_items(storage: Storage, model: str, version: str, day: str, table: pa.Table) -> str:
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    key = layout.replay_items(model, version, day, hashlib.sha256(out.getvalue()).hexdigest()[:16])
    create_if_absent(storage, key, out.getvalue())
    return key


def _read_ids(storage: Storage, plan: ReplayPlan) -> pa.ChunkedArray:
    import pyarrow.parquet as pq

    return pq.read_table(io.BytesIO(storage.read(plan.items)), columns=["prediction_id"])["prediction_id"]
