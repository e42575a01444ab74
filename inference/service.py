"""The service's core: a prediction or a label goes in, and comes back once it is durable.

inference/app.py answers HTTP with it, inference/pages call it. It lives on one event loop; decoding,
computing, disk and store have threads of their own.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from contract import clock, ids
from contract.errors import BadImage, RedactionFailed
from contract.sections.serving import ALL_MODELS
from contract.settings import Settings
from contract.stores.store import Storage
from contract.texts.figures import write_count
from inference.answering.picture import Picture, read_picture
from inference.auth import Caller, Refused
from inference.batching import Batcher
from inference.canary.answering import CanaryAnswers, Lane
from inference.clock_skew import ClockSkew
from inference.cores import Cores
from inference.daemon_pool import DaemonPool
from inference.decoders import Decoders
from inference.fetching.errors import NotFetched, refuse_url
from inference.labelling.judgements import check_id, make_label_row
from inference.live.beside import CANARY
from inference.live.deciding import decide
from inference.live.door import Door
from inference.live.fleet import Fleet
from inference.live.model import LiveModel
from inference.live.waking import Waking
from inference.model import own_decoder, redaction
from inference.model.prediction_row import count_logged_classes, make_prediction_row
from inference.monitoring.watch import Watch
from inference.outbox.outbox import MANY, OtherBody, Outbox
from inference.outbox.room import OutboxFull
from inference.outbox.shipper import Shipper
from inference.places import RETRY_AFTER, Places, Taken
from inference.shadow.shadow import Shadow
from inference.telemetry import PREDICTION_ID, Metrics, log_event
from inference.versions.known import require_known

if TYPE_CHECKING:
    from inference.fetching.fetcher import Fetcher
    from inference.model.predictor import Predictor

# A retry comes within seconds, a queue of pictures from a camera that was off line within hours. The outbox keeps
# answers for longer than this, so no id that is accepted can be answered twice.
OLDEST_BROUGHT_ID = timedelta(days=1)
LIVE = "live"
RETRY_MUCH_LATER = {"Retry-After": "30"}


class Service:
    """Several models, one outbox, one queue."""

    def __init__(self, storage: Storage, settings: Settings, outbox: Outbox, models: list[str]) -> None:
        """`models`: names, the default one first. NoSuchModel when nothing names one of them."""
        self.storage, self.settings, self.outbox = storage, settings, outbox
        self.metrics = Metrics()
        serve = settings.serve
        self.shadows: dict[str, Shadow] = {}
        self._canaries: dict[str, CanaryAnswers] = {}
        self.default_model = models[0]
        self.shipper = Shipper(outbox, storage, serve.ship_seconds, serve.ship_bytes, self._report_shipping)
        self.clock_skew = ClockSkew(storage)
        self.watch = Watch(storage, settings.gates.max_age_days)
        self.metrics.registry.register(self.watch)
        # Memory is bounded by bytes that requests announce, not by how many call.
        self.places = Places(serve.queue, serve.held_bytes, serve.key_share)
        self.fetcher = self._make_fetcher()
        self.redactor = redaction.load(serve.redact, serve.redact_grey16) if serve.redact else None
        self.decoder = own_decoder.load(settings.pictures.decoder) if settings.pictures.decoder else None
        self.stopping = False
        self._decoders: Decoders | None = None
        self._batcher: Batcher | None = None
        self._make_lane: Callable[[str], Lane] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.fleet = Fleet(storage, models, self._make_model, serve.poll_seconds, serve.models == ALL_MODELS, serve.loaded_bytes,
                           self._begin_model, self._end_model)
        self._waking = Waking(self.fleet.wake)
        for name in self.models:
            require_known(storage, name)

    def _make_fetcher(self) -> Fetcher | None:
        if not self.settings.serve.urls:
            return None
        from inference.fetching.fetcher import Fetcher  # an HTTP client and its CA bundle, which few services need

        return Fetcher(self.settings.serve, self.storage.root)

    def _make_model(self, name: str) -> LiveModel:
        serve = self.settings.serve
        live = LiveModel(self.storage, name, serve.max_batch, self.metrics, serve.device, serve.formats, serve.lanes,
                         self.outbox.writer, Door(serve.cuts_to_8_bits, self.decoder.name if self.decoder else None))
        self.shadows[name] = Shadow(live, self.outbox, self.storage.root, serve, self.metrics, self._has_waiting)
        return live

    def _begin_model(self, live: LiveModel) -> None:
        assert self._batcher is not None and self._make_lane is not None  # start made both
        self._canaries[live.model] = CanaryAnswers(live.canary, self._batcher, self.settings.serve.deadline_seconds,
                                                   self._make_lane)
        self.shadows[live.model].start()

    def _end_model(self, live: LiveModel) -> None:
        """Called in a thread that follows; what was made of the model for its requests is let go."""
        if (answers := self._canaries.pop(live.model, None)) and self._loop:
            self._loop.call_soon_threadsafe(answers.stop)
        if shadow := self.shadows.pop(live.model, None):
            shadow.stop()

    @property
    def models(self) -> Mapping[str, LiveModel]:
        """The models that are served now, the default one first."""
        return self.fleet.models

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Loads what is live, then begins to follow it and to ship."""
        serve, cores = self.settings.serve, Cores(self.settings.serve.lanes, self.settings.serve.device)
        self._loop = asyncio.get_running_loop()
        self._decoders = cores.start_decoders()
        self._batcher = Batcher(serve.max_batch, serve.max_delay_ms / 1000, self.metrics, cores.lanes, cores.set_share)
        self._batcher.start()
        self._make_lane = partial(Lane, max_batch=serve.max_batch, metrics=self.metrics, set_share=cores.set_share)
        await asyncio.to_thread(self.fleet.load)
        self.fleet.start()
        self.clock_skew.start()
        self.watch.start()
        self.shipper.start()

    async def stop(self) -> None:
        """Answers, after the last request, what waits; ships the outbox, for `serve.stop_seconds` at the most."""
        self.stopping = True
        for answers in list(self._canaries.values()):
            answers.stop()
        if self._batcher:
            await self._batcher.close()
        if self._decoders:
            self._decoders.shutdown(wait=False, cancel_futures=True)
        self.clock_skew.stop()
        self.watch.stop()
        await asyncio.to_thread(self.fleet.stop)
        shipped = asyncio.wrap_future(DaemonPool(1, "last shipping").submit(self._ship_the_rest))
        done, _ = await asyncio.wait([shipped], timeout=self.settings.serve.stop_seconds)
        depth = await asyncio.to_thread(self.outbox.measure_depth)
        level = logging.WARNING if depth.rows else logging.INFO
        all_shipped = shipped.done() and not shipped.exception() and shipped.result()
        log_event("stopped", level, rows_left=depth.rows, shipped=all_shipped, gave_up=not done)
        if done:  # otherwise the store hangs, and the process ends with the rows safe in the outbox
            await asyncio.to_thread(self.outbox.close)

    def _has_waiting(self) -> bool:
        return self._batcher is not None and self._batcher.has_waiting

    def _ship_the_rest(self) -> bool:
        self.shipper.stop()
        for live in self.models.values():
            live.write_canary_counts()
        return self.shipper.ship(everything=True)

    def _report_shipping(self, name: str, **fields: Any) -> None:
        failed = "error" in fields
        log_event(name, logging.ERROR if failed else logging.INFO, **fields)
        if failed:
            self.metrics.failures.inc()
        else:
            self.metrics.shipped.labels(fields["key"].partition("/")[0]).inc(fields["rows"])

    # -- predictions ------------------------------------------------------------------------------------------------

    @contextmanager
    def admit(self, size: int, caller: Caller) -> Iterator[Taken]:
        """Holds a place in the queue for a request that brings `size` bytes; enter it before they are read.

        Refused (503).
        """
        if self.outbox.room.is_full():
            raise Refused(503, "outbox_full", "the outbox is full: the bucket does not take rows as fast as they "
                          "come. Try again later.", RETRY_MUCH_LATER)
        with self.places.take(caller.share_name, size) as taken:
            self.metrics.active.set(self.places.taken)
            try:
                yield taken
            finally:
                self.metrics.active.set(self.places.taken - 1)

    async def predict_url(self, url: str, taken: Taken, **of_request: Any) -> dict[str, Any]:
        """Fetches a picture and predicts; `taken`: what `admit` gave. Refused (422, the same for all that is wrong with it)."""
        assert self.fetcher is not None
        began = clock.monotonic()
        try:
            fetched = await self.fetcher.fetch(url, taken.grow)
        except NotFetched as error:
            self.metrics.fetches.labels("refused").inc()
            raise refuse_url(str(error), error.source) from None
        self.metrics.seconds.labels("fetch").observe(clock.monotonic() - began)
        try:
            answer = await self.predict(fetched.data, source_uri=fetched.source_uri, **of_request)
        except Refused as refused:
            if refused.code != "bad_image":
                raise
            self.metrics.fetches.labels("refused").inc()
            raise refuse_url(refused.message, fetched.source_uri) from None
        self.metrics.fetches.labels("taken").inc()
        return answer

    async def predict(self, data: bytes, *, caller: Caller, model: str | None = None, prediction_id: str | None = None,
                      request_id: str | None = None, attributes: dict[str, str] | None = None,
                      source_uri: str | None = None, top_k: int = 5) -> dict[str, Any]:
        """Returns the answer of docs/design.md#http once it is durable. Call it inside `admit`.

        Refused: 404, 422, 503, 504.
        """
        began, now = clock.monotonic(), clock.now()
        live = self._find_model(model)
        if prediction_id is not None:
            prediction_id = check_id(prediction_id, now, OLDEST_BROUGHT_ID, "X-Prediction-Id")
            if (stored := await self._find_answer(prediction_id, hashlib.sha256(data).hexdigest())) is not None:
                return stored
        id_ = prediction_id or ids.uuid7(now)
        PREDICTION_ID.set(id_)
        of_request = {"client": caller.id, "request_id": request_id, "source_uri": source_uri,
                      "attributes": attributes, "redacted_by": self.redactor.name if self.redactor else None}
        predictor, picture, row, role = await self._classify(data, live, id_)
        answer, prediction_row = self._make_answer_and_row(predictor, row, picture, id_, now, top_k, role)
        decide(live.thresholds, answer, prediction_row)
        prediction_row |= of_request | {"decoded_by": picture.decoded_by, "latency_ms": (clock.monotonic() - began) * 1000}
        stands = await self._make_durable(prediction_row, picture, answer, prediction_id is not None)
        if stands is not answer:  # it was answered before, counted and offered then
            return stands
        if role == LIVE and (shadow := self.shadows.get(live.model)):
            shadow.offer(prediction_row, picture.image.data)
        self._count_answer(answer, began, predictor.card.classes)
        return answer

    async def _classify(self, data: bytes, live: LiveModel, id_: str) -> tuple[Predictor, Picture, np.ndarray, str]:
        """Returns predictor, picture, row of probabilities and role: the whole of one answer is one version's.

        Refused (422, 503, 504).
        """
        limit = self.settings.serve.deadline_seconds
        predictor, picture = live.predictor, None
        try:
            async with asyncio.timeout(limit):
                until = clock.monotonic() + limit
                predictor = predictor or await self._waking.wake(live)
                assert self._batcher is not None  # start made it
                with self._batcher.announce():
                    picture = await self._decode(data, predictor)
                chosen, canary = live.choose_canary(id_, predictor), self._canaries.get(live.model)
                if chosen and canary and (row := await canary.answer(
                        chosen, predictor, picture.prepared, picture.image.data, until - clock.monotonic())) is not None:
                    return chosen.predictor, picture, row, CANARY
                return predictor, picture, await self._batcher.submit(predictor, picture.prepared), LIVE
        except TimeoutError:
            if predictor is not None and picture is None and self.redactor is not None:
                raise self._refuse_unredacted(f"no picture came back within {limit:g} s") from None
            raise Refused(504, "deadline", f"no answer within {limit:g} s.") from None

    def _find_model(self, name: str | None) -> LiveModel:
        live = self.models.get(name or self.default_model)
        if live is None:
            raise Refused(404, "no_such_model", f"model {name!r} is not served here; these are: {', '.join(self.models)}.")
        live.used_at = clock.monotonic()
        if live.card is None and live.published is False:
            raise Refused(503, "not_published", f"{live.explain_absence()}.", RETRY_MUCH_LATER)
        if live.card is None:
            raise Refused(503, "not_ready", f"no version of {live.model!r} could be loaded yet.", RETRY_AFTER)
        return live

    async def _find_answer(self, prediction_id: str, body_hash: str) -> dict[str, Any] | None:
        try:
            return await self.outbox.find_answer(prediction_id, body_hash)
        except OtherBody as error:
            raise Refused(422, "id_in_use", str(error)) from None

    async def _decode(self, data: bytes, predictor: Predictor) -> Picture:
        began = clock.monotonic()
        try:
            picture = await asyncio.get_running_loop().run_in_executor(
                self._decoders, copy_context().run, read_picture, data, self.settings.serve.max_pixels, predictor.prepare,
                self.redactor, self.decoder)
        except BadImage as error:
            raise Refused(422, "bad_image", str(error)) from None
        except RedactionFailed as error:
            raise self._refuse_unredacted(str(error)) from None
        self.metrics.seconds.labels("decode").observe(clock.monotonic() - began)
        return picture

    def _refuse_unredacted(self, reason: str) -> Refused:
        """Counts and logs that a picture could not be redacted; the answer is the same for all reasons."""
        self.metrics.redactions.inc()
        log_event("not redacted", logging.ERROR, reason=reason)
        return Refused(503, "not_redacted", "the picture could not be redacted, so it was neither classified nor kept.",
                       RETRY_MUCH_LATER)

    def _make_answer_and_row(self, predictor: Predictor, row: np.ndarray, picture: Picture, prediction_id: str,
                             now: datetime, top_k: int, role: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Makes the answer and the row to be logged from a row of probabilities, both of one version."""
        card, image = predictor.card, picture.image
        top = predictor.top(row, count_logged_classes(predictor, self.settings.serve.log_all_classes, top_k))
        answer = {"prediction_id": prediction_id, "model": card.model, "model_version": card.version,
                  "predictions": [{"label": label, "probability": p} for label, p in top[:top_k]]}
        extension = image.extension if self.settings.serve.store_images else None
        return answer, make_prediction_row(predictor, top, picture.info, picture.bytes, image.sha256, extension,
                                           prediction_id=prediction_id, at=clock.to_us(now), role=role)

    async def _make_durable(self, prediction_row: dict[str, Any], picture: Picture, answer: dict[str, Any],
                            brought: bool) -> dict[str, Any]:
        began = clock.monotonic()
        kept = picture.image if self.settings.serve.store_images else None
        try:
            answer = await self.outbox.append_prediction(prediction_row, kept, picture.body_sha256, answer, brought)
        except OtherBody as error:
            raise Refused(422, "id_in_use", str(error)) from None
        except OutboxFull as error:
            raise Refused(503, "outbox_full", str(error), RETRY_MUCH_LATER) from None
        self.metrics.seconds.labels("outbox").observe(clock.monotonic() - began)
        return answer

    def _count_answer(self, answer: dict[str, Any], began: float, classes: Sequence[str]) -> None:
        seconds = clock.monotonic() - began
        self.metrics.seconds.labels("total").observe(seconds)
        self.metrics.predictions.labels(answer["model"], answer["model_version"]).inc()
        first = answer["predictions"][0]
        self.metrics.predicted.count(answer["model"], answer["model_version"], first["label"], first["probability"], classes)
        log_event("predicted", prediction_id=answer["prediction_id"], model=answer["model"],
                  version=answer["model_version"], ms=round(seconds * 1000, 2))

    # -- labels -----------------------------------------------------------------------------------------------------

    async def label(self, judgements: list[dict[str, Any]], *, caller: Caller, origin: str | None = None,
                    labeler_default: str | None = None, strategy: str | None = None,
                    selection_probability: float | None = None, saw_prediction: bool | None = None,
                    shown_label: str | None = None, day: str | None = None) -> list[str]:
        """Makes judgements durable, all or none, and returns their label ids in order.

        `origin` None: each judgement's own, as far as the caller may claim it; a page gives its kind. `day`: under which
        the predictions lie, of a page that handed them out itself; None: their ids say it. Raises Refused.
        """
        now, oldest = clock.now(), timedelta(days=self.settings.serve.label_days)

        def make_rows() -> list[dict[str, Any]]:
            return [make_label_row(judgement, f"label {n}", caller=caller, now=now, oldest=oldest, origin=origin,
                                   labeler_default=labeler_default, saw_prediction=saw_prediction,
                                   shown_label=shown_label, day=day)
                    | {"strategy": strategy, "selection_probability": selection_probability}
                    for n, judgement in enumerate(judgements, start=1)]

        rows = await asyncio.to_thread(make_rows) if len(judgements) > MANY else make_rows()
        try:
            await self.outbox.append_labels(rows, day)
        except OutboxFull as error:
            raise Refused(503, "outbox_full", str(error), RETRY_MUCH_LATER) from None
        for row_origin, count in Counter(row["origin"] for row in rows).items():
            self.metrics.labels.labels(row_origin).inc(count)
        return [row["label_id"] for row in rows]

    # -- what others ask --------------------------------------------------------------------------------------------

    def check_readiness(self) -> dict[str, Any]:
        """Describes what requests depend on; `reasons`: why they cannot be answered, empty while they can."""
        models = {name: {"version": live.version, "format": live.describe_format(), "store": live.explain_silence(),
                         "refused": (refused := live.refused) and refused.describe(), "shadow": self._describe_shadow(name),
                         "canary": live.canary.describe()} for name, live in self.models.items()}
        answers = any(live.card is not None for live in self.models.values())
        reasons = [live.explain_absence() for name, live in self.models.items()
                   if live.card is None and not (answers and (live.retired or not self.fleet.is_named(name)))]
        reasons += ["the outbox is full"] * self.outbox.room.is_short() + ["the service is stopping"] * self.stopping
        reasons += [self.shipper.root_lost] if self.shipper.root_lost else []
        reasons += [skew] if (skew := self.clock_skew.explain()) else []
        slow = [said for live in self.models.values() if (said := live.explain_slowness())]
        return {"reasons": reasons, "models": models, "slow": slow, "shipping_failures": self.shipper.failures,
                "clock_ahead_seconds": self.clock_skew.seconds_ahead}

    def _describe_shadow(self, model: str) -> dict[str, Any] | None:
        shadow = self.shadows.get(model)  # a model that was let go a moment ago has none
        return shadow.describe() if shadow else None

    def list_troubles(self) -> list[str]:
        """Lists what the store fails in while requests are answered all the same."""
        silent = [trouble for live in self.models.values()
                  for trouble in (live.explain_silence(), live.explain_damage()) if trouble]
        failed = f"rows wait in the outbox: shipping failed {write_count(self.shipper.failures, 'time')} in a row"
        return silent + [failed] * bool(self.shipper.failures)
