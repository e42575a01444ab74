"""`/review`: a grid of pictures that got the same predicted label; unmark the wrong ones, submit once.

An unmarked picture says that the answer is wrong (rule 4a of docs/design.md). Such pictures come back first, for the name
of their class. What was submitted can be taken back, or opened again and changed.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from contract.confidence import EDGES
from contract.counts import UNNAMED
from contract.texts.figures import write_bound
from inference.auth import Caller, read_form, require
from inference.labelling.answers import Said, parse_said
from inference.labelling.documents import Batch, BatchHolder
from inference.labelling.history import recall_answers
from inference.labelling.queue import Queue
from inference.pages import queue_page
from inference.pages.new_class import ask_for_new_classes, list_known_classes
from inference.pages.queue_page import Choice
from inference.pages.site import Site, refuse_errors, run_in_thread, shows_page
from inference.pages.visitor import identify_holder, may_answer, remember_visitor

KIND, BATCH = "review", 25
TILE_KEYS = "123456789abcdefghijklmnop"


class Tile(NamedTuple):
    """One picture of the grid, as it was answered before, if it was; `confidence`: the bin of the model's, in words."""

    id: str
    image: str | None
    key: str
    marked: bool
    unsure: bool
    named: str
    confidence: str


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
        form = queue_page.read_withdrawal(await read_form(request))
        if "release" in form:
            return await queue_page.give_back(site, request, caller, KIND, form)
        if "withdraws" in form:
            return await _take_back(site, request, caller, form)
        with refuse_errors():
            said = parse_said(_read_answers(form))
        typed = [text.strip() for name, text in form.items() if name.startswith("class-")]
        back = _make_address(form, batch=form.get("batch"), again=1)
        asked = await ask_for_new_classes(site, request, caller, KIND, form, typed, back)
        if asked is not None:
            return asked
        taken = await queue_page.take_answers(site, caller, KIND, dict(form), said)
        return RedirectResponse(_make_address(form, taken=taken), 303)

    return router


def _make_address(form: dict[str, str], **more: Any) -> str:
    beside = {"of": form["of"]} if form.get("of") else {}
    return "/review?" + urlencode({"model": form.get("model", ""), "day": form.get("day", ""), **beside, **more})


def _read_answers(form: dict[str, str]) -> list[dict[str, str | None]]:
    """Reads the answers of a form: the class that was named; of a marked picture the predicted label; null where the person
    cannot tell; of the others that the answer is wrong."""
    answers: list[dict[str, str | None]] = []
    for i in form.get("items", "").split():
        named, marked = form.get(f"class-{i}", "").strip(), f"ok-{i}" in form
        unsure = None if f"unsure-{i}" in form else UNNAMED
        answers.append({"prediction_id": unquote(i), "label": named or (form.get("predicted", "") if marked else unsure)})
    return answers


async def _take_back(site: Site, request: Request, caller: Caller, form: dict[str, str]) -> Response:
    """Takes back all answers to a batch, and opens it again as it was; what was handed out since goes back."""
    queue, n = await queue_page.find_batch(site, KIND, form)
    batch: Batch = await run_in_thread(queue.find_batch, n)
    with refuse_errors():
        holder = identify_holder(request, caller)
    if may_answer(batch, caller):
        await run_in_thread(queue.release, batch.holder)
    said = Said({}, withdrawn=frozenset(queue.find_answers(n)))
    await queue_page.take_answers(site, caller, KIND, dict(form), said)
    return remember_visitor(request, RedirectResponse(_make_address(form, batch=n, again=1), 303), holder)


async def _show_page(site: Site, request: Request, caller: Caller, choice: Choice) -> Response:
    """Shows the batch of the address while it is open, or to be opened `again`; else one that is held, or a new one."""
    if choice.queue is None:
        return site.render(request, "no_sample.html", caller, choice=choice)
    with refuse_errors():
        holder = identify_holder(request, caller)
    n = queue_page.parse_number(request.query_params.get("batch"))
    if n is not None:
        batch: Batch = await run_in_thread(choice.queue.find_batch, n)
        is_open = len(choice.queue.find_answers(n)) < len(batch.items)
        if may_answer(batch, caller) and (is_open or "again" in request.query_params):
            return await _show_grid(site, request, caller, choice, choice.queue, n, holder)
    given = await run_in_thread(queue_page.give_batch, site, choice.queue, holder, BATCH)
    if given is None:
        return await queue_page.show_nothing_waits(site, request, caller, choice, choice.queue, holder)
    query = {"model": choice.model, "day": choice.day, "batch": given[0]} | choice.beside
    if "taken" in request.query_params:
        query["taken"] = request.query_params["taken"]
    return remember_visitor(request, RedirectResponse(f"/review?{urlencode(query)}", 303), holder)


async def _show_grid(site: Site, request: Request, caller: Caller, choice: Choice, queue: Queue, n: int,
                     holder: BatchHolder) -> Response:
    batch = queue.list_batches()[n]
    classes = await queue_page.list_classes(site, choice, n, batch.holder)
    known = await run_in_thread(list_known_classes, site, queue, choice.model, batch.holder)
    progress = await run_in_thread(queue.count_progress)
    last = queue.find_last_answer(holder)
    return site.render(request, "review.html", caller, choice=choice, batch=n, tiles=_list_tiles(queue, n, batch),
                       predicted=batch.predicted, naming=batch.naming, classes=[*classes, *sorted(known - set(classes))],
                       progress=progress, expires=batch.expires_at, taken=request.query_params.get("taken"),
                       again="again" in request.query_params, last=last if last and last[0] != n else None)


def _list_tiles(queue: Queue, n: int, batch: Batch) -> list[Tile]:
    said = recall_answers(queue.list_answers(), n)
    tiles = []
    for k, item in enumerate(batch.items):
        label = said.get(item.prediction_id, UNNAMED if batch.naming else batch.predicted)
        named = label if label not in (None, UNNAMED, batch.predicted) else None
        tiles.append(Tile(item.prediction_id, item.image, TILE_KEYS[k:k + 1], label == batch.predicted, label is None,
                          named or "", _describe_confidence(item.bin)))
    return tiles


def _describe_confidence(k: int | None) -> str:
    return "not known" if k is None else f"{write_bound(EDGES[k])} to {write_bound(EDGES[k + 1])}"
