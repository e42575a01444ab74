"""What the audit and the review page share: choosing the sample, handing out a batch, taking its answers."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from contract import clock
from contract.errors import DamagedDocument, UsageError, shorten
from contract.registry import models
from contract.samples import REST, name_rest
from contract.texts.asked import explain_asking
from inference import upload
from inference.auth import ANONYMOUS, LARGEST_FORM, Caller, Refused
from inference.labelling.answers import Said, order_classes, parse_said
from inference.labelling.documents import Batch, BatchHolder
from inference.labelling.holding import release_settled
from inference.labelling.populations import LISTED_BLIND, check_population, list_models_with_samples, list_populations
from inference.labelling.queue import HOLD_MINUTES, Queue, list_days_with_sample
from inference.labelling.repeats import STRATEGY as REPEAT
from inference.pages.site import HEADERS, Site, refuse_errors, run_in_thread
from inference.pages.visitor import identify_holder, may_answer
from inference.telemetry import log_event

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
    of: str = "live"  # what the sample is drawn from (contract.samples.Sample.population)
    names: tuple[str, ...] = ()  # models that people are asked about

    @property
    def beside(self) -> dict[str, str]:
        """What an address says of the sample beside model and day: nothing of live predictions."""
        return {} if self.of == "live" else {"of": self.of}

    @property
    def why(self) -> str:
        """Why the pictures of the sample are asked about; empty without one."""
        return explain_asking(self.queue.sample) if self.queue else ""


async def choose(site: Site, request: Request, kind: str) -> Choice:
    """Chooses the model, day and predictions of the query; what it does not name is that of the newest where something waits."""
    model = request.query_params.get("model") or site.service.default_model
    day, of = request.query_params.get("day"), request.query_params.get("of")
    return await run_in_thread(_choose, site, model, day, kind, of)


def _choose(site: Site, model: str, day: str | None, kind: str, of: str | None) -> Choice:
    names = tuple(list_models_with_samples(site.storage))
    chosen = clock.parse_day(day) if day else None
    populations = [check_population(of)] if of else order_for(kind, list_populations(site.storage, model))
    first: Choice | None = None
    for population in populations:
        days = list_days_with_sample(site.storage, model, kind, population)[:DAYS_SHOWN]
        for candidate in [chosen] if chosen else list(days):
            found = _find_or_pass_over(site, model, candidate, kind, population, days, named=bool(chosen))
            if found is None:
                continue
            choice = Choice(model, kind, days, candidate, found, population, names)
            if (chosen and of) or found.count_progress()["waiting"]:
                return choice
            first = first or choice
    return first or Choice(model, kind, [], chosen, None, of or _find_usual(site, model, populations), names)


def order_for(kind: str, populations: list[str]) -> list[str]:
    """Orders what samples are drawn from as pages look for work: what thresholds leave to people comes first on /review."""
    rest = name_rest("live")
    return sorted(populations, key=lambda name: name != rest) if kind == "review" else populations


def _find_usual(site: Site, model: str, populations: list[str]) -> str:
    """Finds what a sample of the model is likely to be drawn from: of a foreign model the role that was asked about before."""
    foreign = model not in models(site.storage)
    return next((name for name in reversed(populations) if foreign and name != LISTED_BLIND
                 and not name.endswith(REST)), "live")


def _find_or_pass_over(site: Site, model: str, day: str, kind: str, population: str, days: list[str],
                       named: bool) -> Queue | None:
    """Finds the queue of a day; one that cannot be read stops no other day, unless it was `named`."""
    try:
        return site.find_queue(model, day, kind, population)
    except DamagedDocument as error:
        if named:
            raise
        log_event("sample passed over", logging.WARNING, model=model, day=day, kind=kind, error=str(error))
        days.remove(day)
        return None


async def hand_out_json(site: Site, request: Request, caller: Caller, choice: Choice, size: int) -> JSONResponse:
    """Hands a new batch of `size` items to a program; an empty one (batch null) when nothing waits.

    Refused (404, 422).
    """
    if choice.queue is None:
        raise Refused(404, "no_sample", f"no {choice.kind} sample of {shorten(choice.model)} was drawn"
                      + (f" on {choice.day}" if choice.day else "") + ". Draw one with `trueup review sample`.")
    with refuse_errors():
        holder = identify_holder(request, caller)
    given = await run_in_thread(give_batch, site, choice.queue, holder, read_size(request, size))
    answered = await run_in_thread(choice.queue.find_answers, given[0]) if given else {}
    n, batch = given or (None, None)
    classes = await list_classes(site, choice, n, holder)
    return JSONResponse({"model": choice.model, "day": choice.day, **choice.beside, "asked_because": choice.why, "batch": n,
                         "csrf": site.find_csrf_token(request), "classes": classes, "items": _list_items(batch, answered),
                         **({"predicted": batch.predicted, "naming": batch.naming}
                            if batch and batch.predicted is not None else {})},
                        headers=HEADERS)


async def list_classes(site: Site, choice: Choice, n: int | None, holder: BatchHolder) -> list[str]:
    """Lists the classes of the model in the one order of this person and batch."""
    classes = await run_in_thread(site.list_classes, choice.model)
    return order_classes(classes, holder, f"{choice.model}/{choice.day}/{choice.kind}/{n}")


def give_batch(site: Site, queue: Queue, holder: BatchHolder, size: int) -> tuple[int, Batch] | None:
    """Finds the batch that this person holds, else hands one out, as far as the share of the key goes; None: nothing waits."""
    most = None if holder.actor == ANONYMOUS else site.open_batches
    return queue.resume_or_hand_out(holder, size, most)


def _list_items(batch: Batch | None, answered: Collection[str]) -> list[dict[str, str]]:
    return [{"prediction_id": i.prediction_id, "image": f"/images/{i.image}"} for i in batch.items
            if i.prediction_id not in answered] if batch else []


def read_size(request: Request, default: int) -> int:
    """Reads how many items a batch is to have: `size` in the address, 1 to MOST_ITEMS. Refused (422)."""
    text = request.query_params.get("size", str(default))
    size = parse_number(text)
    if size is None or not 1 <= size <= MOST_ITEMS:
        raise Refused(422, "bad_size", f"expected a size of 1 to {MOST_ITEMS}, got {shorten(text)}.")
    return size


def parse_number(text: object) -> int | None:
    """Parses a whole number of up to nine digits; None for anything else, also for digits such as '²', which int refuses."""
    return int(str(text)) if re.fullmatch(r"[0-9]{1,9}", str(text)) else None


async def read_json_object(request: Request) -> dict[str, Any]:
    """Reads the JSON object of a body of at most LARGEST_FORM bytes. Refused (413, 422)."""
    document = await upload.read_json_body(request, LARGEST_FORM)
    if not isinstance(document, dict):
        raise Refused(422, "bad_json", f"expected a JSON object, got {type(document).__name__}.")
    return document


async def take_answers(site: Site, caller: Caller, kind: str, document: dict[str, Any], said: Said) -> int:
    """Makes what was said of a batch durable as labels, and as withdrawals of labels; returns how many rows were new.

    Origin, probability, strategy and labeler come from the batch that the server handed out, never from the form.
    """
    queue, n = await find_batch(site, kind, document)
    batch: Batch = await run_in_thread(queue.find_batch, n)
    if not may_answer(batch, caller):
        raise Refused(403, "not_your_batch", f"batch {n} was handed out to somebody else.")
    groups = await run_in_thread(queue.group_judgements, n, said.labels, said.withdrawn, said.label_ids)
    with refuse_errors():
        written = 0
        for group in groups:
            if group.strategy == REPEAT:  # no label rows; counted, or the number would tell which they were
                written += len(group.judgements)
                continue
            written += len(await site.service.label(
                group.judgements, caller=caller, origin=group.origin, labeler_default=_choose_labeler(batch.holder, document),
                strategy=group.strategy, selection_probability=group.p, saw_prediction=kind == "review",
                shown_label=batch.predicted, day=group.day))
    await run_in_thread(queue.save_answers, n, said.labels, said.withdrawn, said.skipped)
    await run_in_thread(release_settled, queue, batch.holder)
    return written


def _choose_labeler(holder: BatchHolder, document: dict[str, Any]) -> str:
    """Returns who the batch was given to; a nameless visitor may say a name with the answers."""
    name = document.get("labeler")
    return str(name) if holder.visitor and name else holder.labeler


async def find_batch(site: Site, kind: str, document: Mapping[str, Any]) -> tuple[Queue, int]:
    """Finds the queue and the number of the batch that a form or document names.

    Refused (404, 422).
    """
    model, day = document.get("model") or site.service.default_model, document.get("day")
    n = parse_number(document.get("batch"))
    if not isinstance(model, str) or not isinstance(day, str) or n is None:
        raise Refused(422, "bad_batch", 'expected "model", "day" and the number of a "batch" that was handed out.')
    with refuse_errors():
        chosen, of = clock.parse_day(day), check_population(str(document.get("of") or "live"))
    queue = await run_in_thread(site.find_queue, model, chosen, kind, of)
    if queue is None:
        raise Refused(404, "no_sample", f"no {kind} sample of {shorten(model)} was drawn on {chosen}.")
    return queue, n


def read_withdrawal(form: dict[str, str]) -> dict[str, str]:
    """Reads what a form takes back, "<batch> <prediction id>", into its fields batch and withdraws; other forms stay."""
    if "withdraws" not in form:
        return form
    number, _, prediction_id = form["withdraws"].partition(" ")
    return form | {"batch": number, "withdraws": prediction_id}


async def give_back(site: Site, request: Request, caller: Caller, kind: str, form: dict[str, str]) -> Response:
    """Gives back what this person holds of a sample, and leads to their own page."""
    queue, _ = await find_batch(site, kind, form | {"batch": form["release"]})
    with refuse_errors():
        holder = identify_holder(request, caller)
    await run_in_thread(queue.release, holder)
    return RedirectResponse("/me", 303)


async def show_nothing_waits(site: Site, request: Request, caller: Caller, choice: Choice, queue: Queue,
                             holder: BatchHolder) -> Response:
    """Says that nothing waits for this person; the last answer can still be taken back."""
    progress = await run_in_thread(queue.count_progress)
    return site.render(request, "nothing_waits.html", caller, choice=choice, progress=progress, minutes=HOLD_MINUTES,
                       last=queue.find_last_answer(holder))


async def take_json_answers(site: Site, request: Request, caller: Caller, kind: str) -> JSONResponse:
    """Answers the `POST` of a program: {"model", "day", "batch", "answers": [{"prediction_id", "label" or "wrong": true}]}."""
    document = await read_json_object(request)
    with refuse_errors():
        said = parse_said(document.get("answers"))
    if not said.labels and not said.withdrawn:
        with refuse_errors():
            raise UsageError("expected at least one answer, got none.")
    accepted = await take_answers(site, caller, kind, document, said)
    return JSONResponse({"accepted": accepted}, 201, headers=HEADERS)
