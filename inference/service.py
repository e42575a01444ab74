"""The service's core: a prediction or a label goes in, and comes back once it is durable.

HTTP stands around it (inference/app.py), pages call it (inference/pages). It lives on one event loop; decoding,
computing, disk and store have threads of their own.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contract import clock, ids
from contract.errors import BadImage
from contract.settings import Settings
from contract.stores.store import Storage
from inference.auth import Caller, Refused
from inference.batching import Batcher
from inference.clock_skew import StoreClock
from inference.cores import Cores
from inference.labelling.judgements import check_id, label_row
from inference.live import Follower, Live
from inference.model import preprocess
from inference.model.prediction_row import logged_classes, prediction_row
from inference.model.strip_metadata import strip
from inference.outbox.outbox import MANY, Image, OtherBody, Outbox, OutboxFull
from inference.outbox.shipper import Shipper
from inference.telemetry import PREDICTION_ID, Metrics, event

# A retry comes within seconds, a queue of pictures from a camera that was off line within hours. The outbox keeps
# answers for longer than this, so no id that is accepted can be answered twice.
OLDEST_BROUGHT_ID = timedelta(days=1)
STOP_S = 60.0
# Bytes of images that requests under way may hold together: memory is bounded by this, not by how many call.
MOST_HELD_BYTES = 256 << 20
RETRY_AFTER, RETRY_MUCH_LATER = {"Retry-After": "1"}, {"Retry-After": "30"}


@dataclass(frozen=True)
class Picture:
    """An image as it came (info, bytes, the body's sha256), as it is kept (stripped), and as the network gets it (prepared)."""

    info: preprocess.Info
    bytes: int
    body_sha256: str
    image: Image
    prepared: Any


def read_picture(data: bytes, max_pixels: int, prepare: Callable[[bytes], Any]) -> Picture:
    """All that is done with the bytes that came: header judged, metadata stripped, hashed, decoded. BadImage."""
    info = preprocess.inspect(data, max_pixels)
    stripped, extension, _ = strip(data, info)
    image = Image(hashlib.sha256(stripped).hexdigest(), extension, stripped)
    body = image.sha256 if stripped == data else hashlib.sha256(data).hexdigest()
    return Picture(info, len(data), body, image, prepare(stripped))


class Service:
    """Several models, one outbox, one queue."""

    def __init__(self, storage: Storage, settings: Settings, outbox: Outbox, models: list[str]) -> None:
        """`models`: names, the default one first. NoSuchModel when one was never published."""
        self.storage, self.settings, self.outbox = storage, settings, outbox
        self.metrics = Metrics()
        serve = settings.serve
        self.models = {name: Live(storage, name, serve.max_batch, self.metrics) for name in models}
        self.default_model = models[0]
        self.shipper = Shipper(outbox, storage, serve.ship_seconds, serve.ship_bytes, self._shipped)
        self.store_clock = StoreClock(storage)
        self.stopping = False
        self._active, self._held = 0, 0
        self._follower = Follower(list(self.models.values()), serve.poll_seconds)
        self._decoders: ThreadPoolExecutor | None = None
        self._batcher: Batcher | None = None
        for live in self.models.values():
            live.exists()

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Loads what is live, then begins to follow it and to ship."""
        serve, cores = self.settings.serve, Cores(self.settings.serve.lanes)
        self._decoders = cores.decoders()
        self._batcher = Batcher(serve.max_batch, serve.max_delay_ms / 1000, self.metrics, cores.lanes, cores.share)
        self._batcher.start()
        for live in self.models.values():
            await asyncio.to_thread(live.follow)
        self._follower.start()
        self.store_clock.start()
        self.shipper.start()

    async def stop(self) -> None:
        """After the last request: answers what waits, ships the outbox (for at most a minute) and closes it."""
        self.stopping = True
        if self._batcher:
            await self._batcher.close()
        if self._decoders:
            self._decoders.shutdown()
        self.store_clock.stop()
        await asyncio.to_thread(self._follower.stop)
        shipped = asyncio.ensure_future(asyncio.to_thread(self._last_shipment))
        done, _ = await asyncio.wait([shipped], timeout=STOP_S)
        depth = await asyncio.to_thread(self.outbox.depth)
        event("stopped", rows_left=depth.rows, shipped=bool(done) and shipped.result())
        if done:  # otherwise the store hangs, and the process ends with the rows safe in the outbox
            await asyncio.to_thread(self.outbox.close)

    def _last_shipment(self) -> bool:
        self.shipper.stop()
        return self.shipper.ship(everything=True)

    def _shipped(self, name: str, **fields: Any) -> None:
        failed = "error" in fields
        event(name, logging.ERROR if failed else logging.INFO, **fields)
        if failed:
            self.metrics.failures.inc()
        else:
            self.metrics.shipped.labels(fields["key"].partition("/")[0]).inc(fields["rows"])

    # -- predictions ------------------------------------------------------------------------------------------------

    @contextmanager
    def admission(self, size: int) -> Iterator[None]:
        """A place in the queue for a request that brings `size` bytes, taken before they are read. Refused (503)."""
        if self._active >= self.settings.serve.queue or (self._active and self._held + size > MOST_HELD_BYTES):
            raise Refused(503, "queue_full", f"{self._active} predictions are under way. Try again later.", RETRY_AFTER)
        if self.outbox.full():
            raise Refused(503, "outbox_full", "the outbox is full: the bucket does not take rows as fast as they "
                          "come. Try again later.", RETRY_MUCH_LATER)
        self._active, self._held = self._active + 1, self._held + size
        self.metrics.active.set(self._active)
        try:
            yield
        finally:
            self._active, self._held = self._active - 1, self._held - size
            self.metrics.active.set(self._active)

    async def predict(self, data: bytes, *, caller: Caller, model: str | None = None, prediction_id: str | None = None,
                      request_id: str | None = None, attributes: dict[str, str] | None = None,
                      source_uri: str | None = None, top_k: int = 5) -> dict[str, Any]:
        """The answer of docs/design.md#http, durable. Call it inside `admission`. Raises Refused: 404, 422, 503 or 504."""
        began, now = clock.monotonic(), clock.now()
        live = self._model(model)
        if prediction_id is not None:
            check_id(prediction_id, now, OLDEST_BROUGHT_ID, "X-Prediction-Id")
            if (stored := await self._answered(prediction_id, hashlib.sha256(data).hexdigest())) is not None:
                return stored
        made = prediction_id or ids.uuid7(now)
        PREDICTION_ID.set(made)
        said = {"client": caller.id, "request_id": request_id, "source_uri": source_uri, "attributes": attributes}
        predictor, picture, row = await self._classify(data, live)
        answer, record = self._record(predictor, row, picture, made, now, top_k)
        record |= said | {"latency_ms": (clock.monotonic() - began) * 1000}
        answer = await self._append(record, picture, answer, prediction_id is not None)
        self._answered_now(answer, began)
        return answer

    async def _classify(self, data: bytes, live: Live) -> tuple[Any, Picture, Any]:
        """Predictor, picture and row of probabilities: the whole of one answer is one version's."""
        limit = self.settings.serve.deadline_seconds
        try:
            async with asyncio.timeout(limit):
                predictor = live.predictor
                with self._batcher.coming():
                    picture = await self._decode(data, predictor)
                return predictor, picture, await self._batcher.submit(predictor, picture.prepared)
        except TimeoutError:
            raise Refused(504, "deadline", f"no answer within {limit:g} s.") from None

    def _model(self, name: str | None) -> Live:
        live = self.models.get(name or self.default_model)
        if live is None:
            raise Refused(404, "no_such_model", f"model {name!r} is not served here; these are: "
                          f"{', '.join(self.models)}.")
        if live.predictor is None:
            raise Refused(503, "not_ready", f"no version of {live.model!r} could be loaded yet.", RETRY_AFTER)
        return live

    async def _answered(self, prediction_id: str, body_hash: str) -> dict[str, Any] | None:
        try:
            return await self.outbox.answered(prediction_id, body_hash)
        except OtherBody as error:
            raise Refused(422, "id_in_use", str(error)) from None

    async def _decode(self, data: bytes, predictor: Any) -> Picture:
        began = clock.monotonic()
        try:
            picture = await asyncio.get_running_loop().run_in_executor(
                self._decoders, copy_context().run, read_picture, data, self.settings.serve.max_pixels, predictor.prepare)
        except BadImage as error:
            raise Refused(422, "bad_image", str(error)) from None
        self.metrics.seconds.labels("decode").observe(clock.monotonic() - began)
        return picture

    def _record(self, predictor: Any, row: Any, picture: Picture, prediction_id: str, now: datetime,
                top_k: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The answer and the row, both from one version."""
        card, image = predictor.card, picture.image
        top = predictor.top(row, logged_classes(predictor, self.settings.serve.log_all_classes, top_k))
        answer = {"prediction_id": prediction_id, "model": card.model, "model_version": card.version,
                  "predictions": [{"label": label, "probability": p} for label, p in top[:top_k]]}
        extension = image.extension if self.settings.serve.store_images else None
        return answer, prediction_row(predictor, top, picture.info, picture.bytes, image.sha256, extension,
                                      prediction_id=prediction_id, at=clock.to_us(now), role="live")

    async def _append(self, record: dict[str, Any], picture: Picture, answer: dict[str, Any], brought: bool) -> dict[str, Any]:
        began = clock.monotonic()
        kept = picture.image if self.settings.serve.store_images else None
        try:
            answer = await self.outbox.append_prediction(record, kept, picture.body_sha256, answer, brought)
        except OtherBody as error:
            raise Refused(422, "id_in_use", str(error)) from None
        except OutboxFull as error:
            raise Refused(503, "outbox_full", str(error), RETRY_MUCH_LATER) from None
        self.metrics.seconds.labels("outbox").observe(clock.monotonic() - began)
        return answer

    def _answered_now(self, answer: dict[str, Any], began: float) -> None:
        seconds = clock.monotonic() - began
        self.metrics.seconds.labels("total").observe(seconds)
        self.metrics.predictions.labels(answer["model"], answer["model_version"]).inc()
        event("predicted", prediction_id=answer["prediction_id"], model=answer["model"],
              version=answer["model_version"], ms=round(seconds * 1000, 2))

    # -- labels -----------------------------------------------------------------------------------------------------

    async def label(self, judgements: list[dict[str, Any]], *, caller: Caller, origin: str | None = None,
                    labeler_default: str | None = None, strategy: str | None = None,
                    selection_probability: float | None = None, saw_prediction: bool | None = None) -> list[str]:
        """Makes judgements durable, all or none, and returns their label ids in order.

        `origin` None: each judgement's own, as far as the caller may claim it; a page gives its kind. Raises Refused.
        """
        now, oldest = clock.now(), timedelta(days=self.settings.serve.label_days)

        def made() -> list[dict[str, Any]]:
            return [label_row(judgement, f"label {n}", caller=caller, now=now, oldest=oldest, origin=origin,
                              labeler_default=labeler_default, saw_prediction=saw_prediction)
                    | {"strategy": strategy, "selection_probability": selection_probability}
                    for n, judgement in enumerate(judgements, start=1)]

        rows = await asyncio.to_thread(made) if len(judgements) > MANY else made()
        try:
            await self.outbox.append_labels(rows)
        except OutboxFull as error:
            raise Refused(503, "outbox_full", str(error), RETRY_MUCH_LATER) from None
        for said, many in Counter(row["origin"] for row in rows).items():
            self.metrics.labels.labels(said).inc(many)
        return [row["label_id"] for row in rows]

    # -- what others ask --------------------------------------------------------------------------------------------

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether requests can be answered, and a document that says why not."""
        models = {name: {"version": live.version, "refused": live.refused and {
            "version": live.refused.version, "reason": live.refused.reason}, "store": live.unreachable}
            for name, live in self.models.items()}
        reasons = [f"no version of {name!r} is loaded" for name, live in self.models.items() if live.predictor is None]
        reasons += ["the outbox is full"] * self.outbox.full() + ["the service is stopping"] * self.stopping
        reasons += [wrong] if (wrong := self.store_clock.wrong()) else []
        return not reasons, {"ready": not reasons, "reasons": reasons, "models": models,
                             "shipping_failures": self.shipper.failures,
                             "clock_ahead_seconds": self.store_clock.ahead}
