"""The part of a replay that runs in a Spark task: predictions with their pictures in, a file of rows of role replay out.

A row has the id, the moment and the picture of the live one, so that labels of that one judge it, too, and the attributes
of its request. A picture that is missing, erased or unusable is named with its reason, and the others go on.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from contract import clock, layout
from contract.documents import expiry
from contract.errors import BadImage, NotFound, shorten
from contract.records import PREDICTION
from contract.rows.listing import was_packed
from contract.rows.replay import Reason
from contract.stores.store import Storage, may_be_key
from jobs.scoring.part import READERS, Job, create_table, is_loaded, make_text_schema, open_predictor
from jvm import task_store

if TYPE_CHECKING:
    from inference.model.predictor import Predictor
    from inference.model.preprocess import ImageInfo

LEFT_OUT = ("prediction_id", "kind", "reason")
KEPT = ("client", "request_id", "source_uri", "attributes", "width", "height", "bytes")  # of the request: copied as they are
Row = dict[str, Any]


class Part(NamedTuple):
    """`rows` predictions of a plan from place `first` on; `items` is the key of the plan's whole table."""

    day: str
    plan: int
    first: int
    rows: int
    items: str


class Logged(NamedTuple):
    """One live row and its picture, ready for the network, or why there is none."""

    row: Row
    prepared: Any = None
    info: ImageInfo | None = None
    size: int = 0
    kind: Reason | None = None
    reason: str = ""


def replay_parts(at: task_store.Where, job: Job, parts: Iterator[Part]) -> Iterator[dict[str, Any]]:
    """Carries out the parts of one task, one after another."""
    storage = task_store.open_there(at)
    for part in parts:
        loaded = not is_loaded(storage, job)
        yield replay_part(storage, job, open_predictor(storage, job), part) | {"worker": os.getpid(), "loaded": int(loaded)}


def replay_part(storage: Storage, job: Job, model: Predictor, part: Part) -> dict[str, Any]:
    """Writes the rows first, then what could not be computed, which says that the part is done."""
    import pyarrow.parquet as pq

    items = pq.read_table(io.BytesIO(storage.read(part.items))).slice(part.first, part.rows).to_pylist()
    rows: list[Row] = []
    left: list[Row] = []
    with ThreadPoolExecutor(READERS) as pool:
        for k in range(0, len(items), job.batch):
            logged = list(pool.map(lambda row: _fetch(storage, job, model, part.day, row), items[k:k + job.batch]))
            left += [{"prediction_id": one.row["prediction_id"], "kind": one.kind, "reason": one.reason}
                     for one in logged if one.kind]
            rows += _make_rows(job, model, [one for one in logged if not one.kind])
    key = layout.row_file("predictions", part.day, _name_writer(job, part), part.first + 1, part.first + part.rows)
    if rows and not was_packed(storage, "predictions", part.day, key):
        create_table(storage, key, PREDICTION.arrow(), rows)
    done = layout.replay_done(job.model, job.version, part.day, part.plan, part.first)
    create_table(storage, done, make_text_schema(LEFT_OUT), left)
    return {"replayed": len(rows), "left_out": len(left), "file": key if rows else None}


def _name_writer(job: Job, part: Part) -> str:
    """Returns the writer id of a plan, from its model, version and table: no two plans write files of one name."""
    return f"replay{hashlib.sha256(f'{job.model} {job.version} {part.items} {part.plan}'.encode()).hexdigest()[:12]}"


def _fetch(storage: Storage, job: Job, model: Predictor, day: str, row: Row) -> Logged:
    """Reads and prepares the picture of a live row as the service did. An error of the store itself is raised."""
    from inference.model.preprocess import inspect

    sha256, uri = row["image_sha256"], row["image_uri"]
    if not uri or not may_be_key(uri):
        what = f"its row names {shorten(uri)}, no place under the root" if uri else "its picture was not stored"
        return Logged(row, kind="not stored", reason=what)
    if sha256 and storage.exists(layout.erasure(sha256)):
        return Logged(row, kind="erased", reason="its picture was erased on request (trueup forget)")
    try:
        data = storage.read(uri)
        if sha256 and hashlib.sha256(data).hexdigest() != sha256:
            raise BadImage(f"{uri}: expected the picture with sha256 {shorten(sha256)} that was answered, found another one")
        if len(data) > job.max_bytes:
            raise BadImage(f"expected at most {job.max_bytes:,} bytes, got {len(data):,}")
        info = inspect(data, job.max_pixels)
        return Logged(row, model.prepare(data), info, len(data))
    except NotFound:
        record = expiry.find_pictures(storage, day)
        return Logged(row, kind="gone", reason=record.sentence if record else f"{uri} is no longer there")
    except (BadImage, IsADirectoryError) as error:
        return Logged(row, kind="bad", reason=str(error))


def _make_rows(job: Job, model: Predictor, logged: Sequence[Logged]) -> Iterator[Row]:
    """Yields the rows of one batch."""
    from inference.model.prediction_row import count_logged_classes, make_prediction_row

    if not logged:
        return
    now, k = clock.now_us(), count_logged_classes(model, job.log_all_classes)
    answers = model.to_probabilities(model.ask([one.prepared for one in logged]))
    for one, answer in zip(logged, answers, strict=True):
        live, at = one.row, clock.to_us(one.row["predicted_at"])
        assert one.info is not None
        row = make_prediction_row(model, model.top(answer, k), one.info, one.size, live["image_sha256"], None,
                                  prediction_id=live["prediction_id"], at=at, role="replay")
        kept = {name: live[name] for name in (*KEPT, "image_uri")}
        yield row | kept | {"recorded_at": max(now, at)}
