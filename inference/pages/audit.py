"""`/audit`: one picture, no prediction, the classes in random order; keys 1-9 choose. The answers count as audit."""

from __future__ import annotations

from random import SystemRandom
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from inference.auth import Caller, read_form, require
from inference.labelling.documents import Batch, BatchItem
from inference.labelling.queue import Queue, parse_answers
from inference.pages import queue_page
from inference.pages.queue_page import Choice
from inference.pages.site import Site, refuse_errors, run_in_thread, shows_page
from inference.pages.visitor import identify_holder, may_answer, remember_visitor

KIND, BATCH = "audit", 10
MOST_BUTTONS = 30  # with more classes one types, with suggestions


def make_router(site: Site) -> APIRouter:
    """Makes the routes: GET shows an item or, as JSON, hands out a batch; POST takes answers."""
    router = APIRouter()

    @router.get("/audit")
    async def show(request: Request, caller: Caller = Depends(require("label"))) -> Response:
        choice = await queue_page.choose(site, request, KIND)
        if not shows_page(request):
            return await queue_page.hand_out_json(site, request, caller, choice, BATCH)
        return await _show_page(site, request, caller, choice)

    @router.post("/audit")
    async def answer(request: Request, caller: Caller = Depends(require("label"))) -> Response:
        if request.headers.get("content-type", "").startswith("application/json"):
            return await queue_page.take_json_answers(site, request, caller, KIND)
        form = await read_form(request)
        label = form.get("other", "").strip() or form.get("label") or None
        with refuse_errors():
            answers = parse_answers([{"prediction_id": form.get("prediction_id", ""), "label": label}])
        await queue_page.take_answers(site, caller, KIND, dict(form), answers)
        beside = {"of": form["of"]} if form.get("of") else {}
        return RedirectResponse(_make_address(form.get("model", ""), form.get("day", ""), form.get("batch"), beside), 303)

    return router


async def _show_page(site: Site, request: Request, caller: Caller, choice: Choice) -> Response:
    """Shows the next item of the batch in the address; without one, of the batch this person holds or of a new one."""
    if choice.queue is None:
        return site.render(request, "no_sample.html", caller, choice=choice)
    with refuse_errors():
        holder = identify_holder(request, caller)
    n = queue_page.parse_number(request.query_params.get("batch"))
    if n is not None:
        batch: Batch = await run_in_thread(choice.queue.find_batch, n)
        left = await run_in_thread(_list_unanswered, choice.queue, n)
        if left and may_answer(batch, caller):
            return await _show_item(site, request, caller, choice, choice.queue, n, left)
    given = await run_in_thread(queue_page.give_batch, site, choice.queue, holder, BATCH)
    if given is None:
        progress = await run_in_thread(choice.queue.count_progress)
        return site.render(request, "nothing_waits.html", caller, choice=choice, progress=progress)
    address = _make_address(choice.model, str(choice.day), given[0], choice.beside)
    return remember_visitor(request, RedirectResponse(address, 303), holder)


def _list_unanswered(queue: Queue, n: int) -> list[BatchItem]:
    answered = queue.find_answers(n)
    return [item for item in queue.find_batch(n).items if item.prediction_id not in answered]


async def _show_item(site: Site, request: Request, caller: Caller, choice: Choice, queue: Queue, n: int,
                     left: list[BatchItem]) -> Response:
    """Shows the first of the unanswered items (`left`) of batch n; the second's picture is fetched ahead."""
    size = len(queue.list_batches()[n].items)
    classes = await run_in_thread(site.list_classes, choice.model)
    SystemRandom().shuffle(classes)
    images = [f"/images/{item.image}" for item in left[:2]]
    progress = await run_in_thread(queue.count_progress, n)
    few = len(classes) <= MOST_BUTTONS
    return site.render(request, "audit.html", caller, choice=choice, batch=n, prediction_id=left[0].prediction_id,
                       image=images[0], following=images[1:], done=size - len(left), size=size, progress=progress,
                       buttons=classes if few else [], classes=[] if few else classes)


def _make_address(model: str, day: str, batch: object, beside: dict[str, str]) -> str:
    return "/audit?" + urlencode({"model": model, "day": day, "batch": str(batch)} | beside)
