"""`/audit`: one picture, no prediction, the classes in an order of the person and batch. The answers count as audit.

With its script a page goes through a whole batch; without it each form answers one picture.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from inference.auth import Caller, read_form, require
from inference.labelling.answers import parse_said
from inference.labelling.documents import Batch, BatchHolder, BatchItem
from inference.labelling.queue import Queue
from inference.pages import queue_page
from inference.pages.new_class import ask_for_new_classes, list_known_classes
from inference.pages.queue_page import Choice
from inference.pages.site import Site, refuse_errors, run_in_thread, shows_page
from inference.pages.visitor import identify_holder, may_answer, remember_visitor

KIND, BATCH = "audit", 10
MOST_BUTTONS = 30  # of more classes the script shows those that match what is typed
MOST_NUMBERS = 9  # classes that a digit can choose


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
        form = queue_page.read_withdrawal(await read_form(request))
        if "release" in form:
            return await queue_page.give_back(site, request, caller, KIND, form)
        beside = {"of": form["of"]} if form.get("of") else {}
        address = _make_address(form.get("model", ""), form.get("day", ""), form.get("batch"), beside)
        given = _read_answer(form)
        with refuse_errors():
            said = parse_said([given])
        asked = await ask_for_new_classes(site, request, caller, KIND, form, [given.get("label")], address)
        if asked is not None:
            return asked
        await queue_page.take_answers(site, caller, KIND, dict(form), said)
        return RedirectResponse(address, 303)

    return router


def _read_answer(form: dict[str, str]) -> dict[str, Any]:
    """Reads what a form says of one picture; without a class: cannot tell."""
    if form.get("withdraws"):
        return {"prediction_id": form["withdraws"], "withdraws": True}
    given = {"prediction_id": form.get("prediction_id", "")}
    if "skip" in form or "unsure" in form:
        return given | {"skips": "skip" in form, "label": None}
    return given | {"label": form.get("other", "").strip() or form.get("label") or None}


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
            return await _show_item(site, request, caller, choice, choice.queue, n, left, holder)
    given = await run_in_thread(queue_page.give_batch, site, choice.queue, holder, BATCH)
    if given is None:
        return await queue_page.show_nothing_waits(site, request, caller, choice, choice.queue, holder)
    address = _make_address(choice.model, str(choice.day), given[0], choice.beside)
    return remember_visitor(request, RedirectResponse(address, 303), holder)


def _list_unanswered(queue: Queue, n: int) -> list[BatchItem]:
    answered = queue.find_answers(n)
    return [item for item in queue.find_batch(n).items if item.prediction_id not in answered]


async def _show_item(site: Site, request: Request, caller: Caller, choice: Choice, queue: Queue, n: int,
                     left: list[BatchItem], holder: BatchHolder) -> Response:
    """Shows the first of the unanswered items (`left`) of batch n; the second's picture is fetched ahead."""
    batch = queue.list_batches()[n]
    classes = await queue_page.list_classes(site, choice, n, batch.holder)
    known = await run_in_thread(list_known_classes, site, queue, choice.model, batch.holder)
    images = [f"/images/{item.image}" for item in left[:2]]
    progress = await run_in_thread(queue.count_progress, n)
    return site.render(request, "audit.html", caller, choice=choice, batch=n, prediction_id=left[0].prediction_id,
                       image=images[0], following=images[1:], done=len(batch.items) - len(left), size=len(batch.items),
                       progress=progress, left=left, expires=batch.expires_at, last=queue.find_last_answer(holder),
                       buttons=classes if len(classes) <= MOST_BUTTONS else [], keys=choose_keys(classes), most=MOST_BUTTONS,
                       classes=[*classes, *sorted(known - set(classes))])


def choose_keys(classes: list[str]) -> str:
    """Says how keys choose a class: `typed` where each is one character, `numbers` where digits are enough, else `search`."""
    folded = {name.casefold() for name in classes}
    if classes and all(len(name) == 1 and name not in "?+" for name in classes) and len(folded) == len(classes):
        return "typed"
    return "numbers" if len(classes) <= MOST_NUMBERS else "search"


def _make_address(model: str, day: str, batch: object, beside: dict[str, str]) -> str:
    return "/audit?" + urlencode({"model": model, "day": day, "batch": str(batch)} | beside)
