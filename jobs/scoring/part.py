"""The part of batch scoring that runs in a Spark task: images in, a file of prediction rows and a table of errors out.

A worker process loads the version once, whatever the number of its tasks. Ids follow from the plan's moment and the
image, file names from the plan, so a part that is carried out twice writes the same, and the first one stays.
"""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from contract import clock, ids, layout
from contract.errors import BadImage, NotFound, RedactionFailed, shorten
from contract.records import PREDICTION
from contract.registry import Registry
from contract.rows.listing import was_packed
from contract.sections.modules import allow
from contract.storage import open_storage
from contract.stores.store import Storage, create_if_absent, may_be_key
from jvm import task_store

if TYPE_CHECKING:
    import pyarrow as pa

    from inference.model.predictor import Predictor
    from inference.model.redaction import Redactor

READERS = 4  # threads that fetch and decode
ERROR = ("uri", "etag", "reason")  # columns of the errors table
_loaded: dict[tuple[str, str, str], Any] = {}


@dataclass(frozen=True)
class Job:
    """The parameters of a run of batch scoring that every task needs."""

    model: str
    version: str
    batch: int
    max_bytes: int
    max_pixels: int
    store_images: bool
    log_all_classes: bool
    modules: tuple[str, ...] = ()  # the user's own, which the driver's machine allows to be imported
    redact: str | None = None
    decoder: str | None = None
    redact_grey16: bool = False


class Part(NamedTuple):
    """Images `first` … of plan `plan`; `items` are (uri, etag, size), `listed` the key of the plan's whole table."""

    plan: int
    first: int
    at: int
    listed: str
    items: list[tuple[str, str, int]]


class Picture(NamedTuple):
    """One image, ready for the network, or the reason why not."""

    uri: str
    etag: str
    prepared: Any = None
    info: Any = None
    size: int = 0
    sha256: str = ""
    extension: str = ""
    decoded_by: str | None = None
    reason: str | None = None


def score_parts(at: task_store.Where, job: Job, parts: Iterator[Part]) -> Iterator[dict[str, Any]]:
    """Carries out the parts of one task, one after another."""
    storage = task_store.open_there(at)
    for part in parts:
        loaded = not is_loaded(storage, job)
        yield score_part(storage, job, open_predictor(storage, job), part) | {"worker": os.getpid(), "loaded": int(loaded)}


def is_loaded(storage: Storage, job: Job) -> bool:
    """Whether this process has the version already."""
    return _key(storage, job) in _loaded


def _key(storage: Storage, job: Job) -> tuple[str, str, str]:
    return storage.root, job.model, job.version


def open_predictor(storage: Storage, job: Job) -> "Predictor":
    """The version, loaded once in this process."""
    if _key(storage, job) not in _loaded:
        from inference.model.predictor import load_predictor

        allow(job.modules)
        _loaded[_key(storage, job)] = load_predictor(Registry(storage, job.model), job.version)
    return _loaded[_key(storage, job)]


@cache
def open_redactor(name: str, takes_grey16: bool) -> "Redactor":
    """The hook that redacts pictures, loaded once in this process."""
    from inference.model import redaction

    return redaction.load(name, takes_grey16)


def score_part(storage: Storage, job: Job, model: "Predictor", part: Part) -> dict[str, Any]:
    """Writes the rows first, then the errors table, whose presence says that the part is done."""
    rows: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    items = iter(part.items)
    with ThreadPoolExecutor(READERS) as pool:
        while batch := list(islice(items, job.batch)):
            pictures = list(pool.map(lambda item: fetch_picture(storage, job, model, *item), batch))
            errors += [{"uri": p.uri, "etag": p.etag, "reason": p.reason} for p in pictures if p.reason]
            rows += make_rows(job, model, part, [p for p in pictures if not p.reason])
    day = clock.day_of(clock.from_us(part.at))
    key = layout.row_file("predictions", day, _writer(part), part.first + 1, part.first + len(part.items))
    if rows and not was_packed(storage, "predictions", day, key):
        create_table(storage, key, PREDICTION.arrow(), rows)
    create_table(storage, layout.scoring_done(job.model, job.version, part.plan, part.first), make_text_schema(ERROR), errors)
    return {"scored": len(rows), "errors": errors, "file": key if rows else None}


def _writer(part: Part) -> str:
    """Returns the writer id of a plan: its number may occur under another version, too, its items and moment do not."""
    return f"batch{hashlib.sha256(f'{part.listed} {part.plan} {part.at}'.encode()).hexdigest()[:12]}"


def fetch_picture(storage: Storage, job: Job, model: "Predictor", uri: str, etag: str, size: int) -> Picture:
    """Fetches one image, strips its metadata, redacts and prepares it as the service does; stores it where the job says so."""
    from inference.model.own_decoder import load, take_in
    from inference.model.preprocess import inspect
    from inference.model.redaction import EXTENSION
    from inference.model.strip_metadata import strip_metadata

    try:
        data = _read(storage, uri) if size <= job.max_bytes else b""
        if max(size, len(data)) > job.max_bytes:
            raise BadImage(f"expected at most {job.max_bytes:,} bytes, got {max(size, len(data)):,}")
        taken, decoded_by = take_in(data, load(job.decoder) if job.decoder else None, job.max_pixels)
        info = inspect(taken, job.max_pixels)
        kept, extension = strip_metadata(taken, info)
        if job.redact is not None:
            kept, extension = open_redactor(job.redact, job.redact_grey16).redact(kept), EXTENSION
        sha256, prepared = hashlib.sha256(kept).hexdigest(), model.prepare(kept)
        if storage.exists(layout.erasure(sha256)):
            raise BadImage("it was erased on request (trueup forget)")
    except (BadImage, RedactionFailed, NotFound, IsADirectoryError) as error:
        return Picture(uri, etag, reason=str(error))
    if job.store_images and not storage.exists(key := layout.image(sha256, extension)):
        storage.put(key, kept)
    return Picture(uri, etag, prepared, info, len(data), sha256, extension, decoded_by)


def _read(storage: Storage, uri: str) -> bytes:
    """The bytes at s3://bucket/key, file:///path, or a key under the root; NotFound for what can be none of them."""
    if uri.startswith("s3://"):
        bucket, _, key = uri[5:].partition("/")
        return open_storage(f"s3://{bucket}").read(key)
    if uri.startswith("file://"):
        uri, storage = unquote(uri.removeprefix("file://")).lstrip("/"), open_storage("/")
    if not may_be_key(uri):
        raise NotFound(f"{shorten(uri)}: expected s3://bucket/key, file:///path or a key under the root.")
    return storage.read(uri)


def make_rows(job: Job, model: "Predictor", part: Part, pictures: Sequence[Picture]) -> Iterator[dict[str, Any]]:
    """The rows of one batch."""
    from inference.model.prediction_row import count_logged_classes, make_prediction_row

    if not pictures:
        return
    now, k = clock.now_us(), count_logged_classes(model, job.log_all_classes)
    answers = model.to_probabilities(model.ask([p.prepared for p in pictures]))
    for p, answer in zip(pictures, answers, strict=True):
        extension = p.extension if job.store_images else None
        row = make_prediction_row(model, model.top(answer, k), p.info, p.size, p.sha256, extension,
                                  prediction_id=make_prediction_id(job, part.at, p), at=part.at, role="batch")
        redacted_by = open_redactor(job.redact, job.redact_grey16).name if job.redact is not None else None
        yield row | {"recorded_at": max(now, part.at), "source_uri": p.uri, "redacted_by": redacted_by,
                     "decoded_by": p.decoded_by}


def make_prediction_id(job: Job, at: int, p: Picture) -> str:
    """Makes the id of a prediction: the same for one image, version and plan, whichever task scores it."""
    entropy = hashlib.sha256("\n".join((job.model, job.version, p.uri, p.etag)).encode()).digest()[:10]
    return ids.uuid7(clock.from_us(at), entropy)


def make_text_schema(names: Sequence[str]) -> "pa.Schema":
    """The schema of a table of text columns."""
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in names])


def create_table(storage: Storage, key: str, schema: "pa.Schema", rows: list[dict[str, Any]]) -> None:
    """Writes rows as Parquet under a key; a file that is there stays, for another run may have carried out the same part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), out, compression="zstd")
    create_if_absent(storage, key, out.getvalue())
