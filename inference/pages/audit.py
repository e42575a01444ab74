"""`/audit`: one picture, no prediction, the classes in random order; keys 1-9 choose. The answers count as audit."""

from __future__ import annotations

from random import SystemRandom
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from inference.auth import Caller, form_of, require
from inference.labelling.documents import Batch
from inference.labelling.queue import Queue, parse_answers
from inference.pages import queue_page
from inference.pages.queue_page import Choice
from inference.pages.site import Site, as_refusal, in_thread, shows_page
from inference.pages.visitor import holder_of, may_answer, remember

KIND, BATCH = "audit", 10
MOST_BUTTONS = 30  # with more classes one types, with suggestions


def routes(site: Site) -> APIRouter:
    """GET shows an item or, as JSON, hands out a batch; POST takes answers."""
    router = APIRouter()

    @router.get("/audit")
    async def show(request: Request, caller: Caller = Depends(require("label"))) -> Response:
        choice = await queue_page.choose(site, request, KIND)
        if not shows_page(request):
            return await queue_page.batch_as_json(site, request, caller, choice, BATCH)
        return await _page(site, request, caller, choice)

    @router.post("/audit")
    async def answer(request: Request, caller: Caller = Depends(require("label"))) -> Response:
        if request.headers.get("content-type", "").startswith("application/json"):
            return await queue_page.take_json(site, request, caller, KIND)
        form = await form_of(request)
        label = form.get("other", "").strip() or form.get("label") or None
        with as_refusal():
            answers = parse_answers([{"prediction_id": form.get("prediction_id", ""), "label": label}])
        await queue_page.take(site, caller, KIND, dict(form), answers)
        return RedirectResponse(_address(form.get("model", ""), form.get("day", ""), form.get("batch")), 303)

    return router


async def _page(site: Site, request: Request, caller: Caller, choice: Choice) -> Response:
    """The next item of the batch in the address; without one, of the batch this person holds or of a new one."""
    if choice.queue is None:
        return site.render(request, "no_sample.html", caller, choice=choice)
    with as_refusal():
        holder = holder_of(request, caller)
    n = request.query_params.get("batch")
    if n and n.isdigit():
        batch: Batch = await in_thread(choice.queue.batch, int(n))
        left = await in_thread(_left, choice.queue, int(n))
        if left and may_answer(batch, caller):
            return await _item(site, request, caller, choice, int(n), left)
    given = await in_thread(lambda q: q.mine(holder) or q.hand_out(holder, BATCH), choice.queue)
    if given is None:
        progress = await in_thread(choice.queue.progress)
        return site.render(request, "nothing_waits.html", caller, choice=choice, progress=progress)
    return remember(request, RedirectResponse(_address(choice.model, str(choice.day), given[0]), 303), holder)


def _left(queue: Queue, n: int) -> list[str]:
    answered = queue.answered(n)
    return [i.prediction_id for i in queue.batch(n).items if i.prediction_id not in answered]


async def _item(site: Site, request: Request, caller: Caller, choice: Choice, n: int, left: list[str]) -> Response:
    batch: Batch = choice.queue.batches()[n]
    classes = await in_thread(site.classes, choice.model)
    SystemRandom().shuffle(classes)
    images = [f"/images/{batch.item(i).image}" for i in left[:2]]
    return site.render(request, "audit.html", caller, choice=choice, batch=n, prediction_id=left[0], image=images[0],
                       following=images[1:], done=len(batch.items) - len(left), size=len(batch.items),
                       classes=classes if len(classes) > MOST_BUTTONS else [], progress=await in_thread(
                           choice.queue.progress), buttons=classes if len(classes) <= MOST_BUTTONS else [])


def _address(model: str, day: str, batch: object) -> str:
    return "/audit?" + urlencode({"model": model, "day": day, "batch": str(batch)})
