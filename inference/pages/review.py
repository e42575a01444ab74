"""`/review`: a grid of pictures that got the same predicted label; unmark the wrong ones, submit once.

An unmarked picture says that the answer is wrong (rule 4a of docs/design.md). Such pictures come back first, for the name
of their class.
"""

from __future__ import annotations

from urllib.parse import unquote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from contract.counts import UNNAMED
from inference.auth import Caller, read_form, require
from inference.labelling.documents import Batch
from inference.labelling.queue import parse_answers
from inference.pages import queue_page
from inference.pages.queue_page import Choice
from inference.pages.site import Site, refuse_errors, run_in_thread, shows_page
from inference.pages.visitor import identify_holder, may_answer, remember_visitor

KIND, BATCH = "review", 25


def make_router(site: Site) -> APIRouter:
    """Makes the routes: GET shows a grid or, as JSON, hands out a batch; POST takes the answers of a whole batch."""
    router = APIRouter()

    @router.get("/review")
    async def show(request: Request, caller: Caller = Depends(require("label"))) -> Response:
        choice = await queue_page.choose(site, request, KIND)
        if not shows_page(request):
            return await queue_page.hand_out_json(site, request, caller, choice, BATCH)
        return await _show_page(site, request, caller, choice)

    @router.post("/review")
    async def answer(request: Request, caller: Caller = Depends(require("label"))) -> Response:
        if request.headers.get("content-type", "").startswith("application/json"):
            return await queue_page.take_json_answers(site, request, caller, KIND)
        form = await read_form(request)
        with refuse_errors():
            answers = parse_answers(_read_answers(form))
        taken = await queue_page.take_answers(site, caller, KIND, dict(form), answers)
        query = {"model": form.get("model", ""), "day": form.get("day", ""), "taken": taken}
        query |= {"of": form["of"]} if form.get("of") else {}
        return RedirectResponse(f"/review?{urlencode(query)}", 303)

    return router


def _read_answers(form: dict[str, str]) -> list[dict[str, str | None]]:
    """Reads the answers of a form: the class that was named; of a marked picture the predicted label; null where the person
    cannot tell; of the others that the answer is wrong."""
    answers: list[dict[str, str | None]] = []
    for i in form.get("items", "").split():
        named, marked = form.get(f"class-{i}", "").strip(), f"ok-{i}" in form
        unsure = None if f"unsure-{i}" in form else UNNAMED
        answers.append({"prediction_id": unquote(i), "label": named or (form.get("predicted", "") if marked else unsure)})
    return answers


async def _show_page(site: Site, request: Request, caller: Caller, choice: Choice) -> Response:
    if choice.queue is None:
        return site.render(request, "no_sample.html", caller, choice=choice)
    with refuse_errors():
        holder = identify_holder(request, caller)
    n = queue_page.parse_number(request.query_params.get("batch"))
    if n is not None:
        batch: Batch = await run_in_thread(choice.queue.find_batch, n)
        if may_answer(batch, caller) and len(choice.queue.find_answers(n)) < len(batch.items):
            classes = await run_in_thread(site.list_classes, choice.model)
            progress = await run_in_thread(choice.queue.count_progress)
            return site.render(request, "review.html", caller, choice=choice, batch=n, items=batch.items,
                               predicted=batch.predicted, naming=batch.naming, classes=classes, progress=progress,
                               taken=request.query_params.get("taken"))
    given = await run_in_thread(queue_page.give_batch, site, choice.queue, holder, BATCH)
    if given is None:
        progress = await run_in_thread(choice.queue.count_progress)
        return site.render(request, "nothing_waits.html", caller, choice=choice, progress=progress)
    query = {"model": choice.model, "day": choice.day, "batch": given[0]} | choice.beside
    if "taken" in request.query_params:
        query["taken"] = request.query_params["taken"]
    return remember_visitor(request, RedirectResponse(f"/review?{urlencode(query)}", 303), holder)
