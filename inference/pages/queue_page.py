"""What the audit and the review page share: choosing the sample, handing out a batch, taking its answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from contract import clock
from contract.errors import UsageError
from inference.auth import LARGEST_FORM, Caller, Refused
from inference.labelling.documents import Batch, BatchHolder
from inference.labelling.queue import Queue, days_with_sample, parse_answers
from inference.pages.site import HEADERS, Site, as_refusal, in_thread
from inference.pages.visitor import holder_of, may_answer

DAYS_SHOWN = 30
MOST_ITEMS = 200


@dataclass(frozen=True)
class Choice:
    """The sample that a request means, and the days that it could have chosen."""

    model: str
    kind: str
    days: list[str]
    day: str | None
    queue: Queue | None


async def choose(site: Site, request: Request, kind: str) -> Choice:
    """The model and day of the query; without a day the newest one where something waits."""
    model = request.query_params.get("model") or site.service.default_model
    return await in_thread(_choose, site, model, request.query_params.get("day"), kind)


def _choose(site: Site, model: str, day: str | None, kind: str) -> Choice:
    days = days_with_sample(site.storage, model, kind)[:DAYS_SHOWN]
    if day:
        chosen = clock.parse_day(day)
        return Choice(model, kind, days, chosen, site.queue(model, chosen, kind))
    for candidate in days:
        queue = site.queue(model, candidate, kind)
        if queue and queue.progress()["waiting"]:
            return Choice(model, kind, days, candidate, queue)
    return Choice(model, kind, days, days[0] if days else None, site.queue(model, days[0], kind) if days else None)


async def batch_as_json(site: Site, request: Request, caller: Caller, choice: Choice, size: int) -> JSONResponse:
    """A new batch for a program; an empty one (batch null) when nothing waits."""
    if choice.queue is None:
        raise Refused(404, "no_sample", f"no {choice.kind} sample of {choice.model!r} was drawn"
                      + (f" on {choice.day}" if choice.day else "") + ". Draw one with `trueup review sample`.")
    with as_refusal():
        holder = holder_of(request, caller)
    given = await in_thread(choice.queue.hand_out, holder, size_of(request, size))
    classes = await in_thread(site.classes, choice.model)
    SystemRandom().shuffle(classes)
    n, batch = given or (None, None)
    return JSONResponse({"model": choice.model, "day": choice.day, "batch": n, "csrf": site.csrf(request),
                         "classes": classes, "items": _items(batch),
                         **({"predicted": batch.predicted} if batch and batch.predicted is not None else {})},
                        headers=HEADERS)


def _items(batch: Batch | None) -> list[dict[str, str]]:
    return [{"prediction_id": i.prediction_id, "image": f"/images/{i.image}"} for i in batch.items] if batch else []


def size_of(request: Request, default: int) -> int:
    """Items of a batch: `size`, 1 to MOST_ITEMS."""
    text = request.query_params.get("size", str(default))
    if not text.isdigit() or not 1 <= int(text) <= MOST_ITEMS:
        raise Refused(422, "bad_size", f"expected a size of 1 to {MOST_ITEMS}, got {text!r}.")
    return int(text)


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object of a body of at most LARGEST_FORM bytes."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise Refused(413, "too_large", f"expected at most {LARGEST_FORM} bytes.")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise Refused(422, "bad_json", f"expected a JSON object, got {error}.") from error
    if not isinstance(document, dict):
        raise Refused(422, "bad_json", f"expected a JSON object, got {type(document).__name__}.")
    return document


async def take(site: Site, caller: Caller, kind: str, document: dict[str, Any],
               answers: dict[str, str | None]) -> int:
    """Makes the answers of a batch durable as labels; returns how many were new.

    Kind, probability, strategy and labeler come from the batch that the server handed out, never from the form.
    """
    queue, n = await _batch_of(site, kind, document)
    batch: Batch = await in_thread(queue.batch, n)
    if not may_answer(batch, caller):
        raise Refused(403, "not_your_batch", f"batch {n} was handed out to somebody else.")
    with as_refusal():
        groups = queue.judgements(n, answers)
        written = 0
        for group in groups:
            written += len(await site.service.label(
                group.judgements, caller=caller, origin=kind, labeler_default=_labeler(batch.holder, document),
                strategy=group.strategy, selection_probability=group.p, saw_prediction=kind == "review"))
    await in_thread(queue.record, n, answers)
    return written


def _labeler(holder: BatchHolder, document: dict[str, Any]) -> str:
    """Who the batch was given to; a nameless visitor may say a name with the answers."""
    said = document.get("labeler")
    return str(said) if holder.visitor and said else holder.labeler


async def _batch_of(site: Site, kind: str, document: dict[str, Any]) -> tuple[Queue, int]:
    model, day, n = document.get("model") or site.service.default_model, document.get("day"), document.get("batch")
    if not isinstance(model, str) or not isinstance(day, str) or not str(n).isdigit():
        raise Refused(422, "bad_batch", 'expected "model", "day" and the number of a "batch" that was handed out.')
    with as_refusal():
        chosen = clock.parse_day(day)
    queue = await in_thread(site.queue, model, chosen, kind)
    if queue is None:
        raise Refused(404, "no_sample", f"no {kind} sample of {model!r} was drawn on {day}.")
    return queue, int(str(n))


async def take_json(site: Site, request: Request, caller: Caller, kind: str) -> JSONResponse:
    """`POST` of a program: {"model", "day", "batch", "answers": [{"prediction_id", "label"}]}."""
    document = await json_of(request)
    with as_refusal():
        answers = parse_answers(document.get("answers"))
    if not answers:
        with as_refusal():
            raise UsageError("expected at least one answer, got none.")
    return JSONResponse({"accepted": await take(site, caller, kind, document, answers)}, 201, headers=HEADERS)
