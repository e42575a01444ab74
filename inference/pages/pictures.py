"""`/pictures`: predictions with their pictures, by the filters of the address; and everything that is known of one.

Who may label does not see what waits for a blind audit (inference/pictures/open_audits.py).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from contract import clock, ids
from contract.counts import ORIGINS, UNNAMED
from contract.errors import NotFound, UsageError
from contract.review import listed
from contract.review.listed import ListedItem
from contract.texts.figures import write_number, write_percent
from contract.texts.pictures_link import PAGE, link_to_pictures, link_to_suspects
from inference.auth import Caller, Refused, read_form, require
from inference.pages import images
from inference.pages.problems import wants_page
from inference.pages.site import Site, run_in_thread
from inference.pictures.detail import list_history
from inference.pictures.question import ATTRIBUTE, SORTS, VERDICTS, Question, parse_question
from inference.pictures.room import Room
from inference.pictures.search import Found
from inference.pictures.thumbnails import draw_note

PAGE_ROWS = 60
MOST_PICKED = 500
MARKS = {"right": "✓ right", "wrong": "✗ wrong", "unlabelled": "no label", "joining": "label not joined yet"}
NAMES = {"version": "version", "from": "from", "to": "to", "predicted": "predicted", "label": "label", "verdict": "answer",
         "confidence_from": "confidence from", "confidence_to": "confidence below", "labeler": "labeler", "origin": "origin",
         "split": "people differ", "prediction_id": "prediction"}


def make_router(site: Site, room: Room) -> APIRouter:
    """Makes the routes of the grid, of one prediction, of thumbnails, and of what is sent to review."""
    router = APIRouter()

    @router.get(PAGE)
    async def grid(request: Request, caller: Caller = Depends(require("read"))) -> Response:
        try:
            question = read_question(site, request)
        except Refused as refused:
            return _show_wrong_address(site, request, caller, refused)
        return await _show_grid(site, room, request, caller, question)

    @router.get(f"{PAGE}/one/{{day}}/{{prediction_id}}")
    async def one(request: Request, day: str, prediction_id: str, caller: Caller = Depends(require("read"))) -> Response:
        try:
            question = read_question(site, request)
        except Refused as refused:
            return _show_wrong_address(site, request, caller, refused)
        return await _show_one(site, room, request, caller, replace(question, after=None), day, prediction_id)

    @router.get(f"{PAGE}/thumbnail/{{sha256}}")
    async def thumbnail(sha256: str, caller: Caller = Depends(require("read"))) -> Response:
        if not ids.is_sha256(sha256):
            raise Refused(404, "no_image", "expected a sha256 of 64 hex digits.")
        erased = sha256 in await run_in_thread(room.search.list_erased)
        found = None if erased else await run_in_thread(room.thumbnails.find, sha256)
        data, kind = found or (draw_note("erased" if erased else "not stored"), "image/svg+xml")
        return Response(data, media_type=kind, headers=images.HEADERS)

    @router.post(f"{PAGE}/review")
    async def send_to_review(request: Request, caller: Caller = Depends(require("read"))) -> Response:
        form = await read_form(request)
        model, picked = form.get("model") or site.service.default_model, read_picked(form)
        rows = await run_in_thread(read_rows, room, model, picked, True)  # of what is audited blind nobody may read in a review
        items = [ListedItem.of(row) for row in rows if row["stored"] and not row["erased"]]
        sent = await run_in_thread(listed.send, site.storage, model, listed.PICKED, caller.id, items)
        query = form.get("query", "")
        return RedirectResponse(f"{PAGE}?{query + '&' if query else ''}{urlencode({'sent': sent})}", 303)

    return router


def read_question(site: Site, request: Request) -> Question:
    """Reads the question of an address. Refused (422) says what was expected."""
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "sent"]
    try:
        return parse_question(given, site.service.default_model)
    except UsageError as error:
        raise Refused(422, error.http_code, str(error)) from None


def read_picked(form: dict[str, str]) -> list[tuple[str, str]]:
    """Reads what was marked: (day, prediction id) of each. Refused (422)."""
    found = []
    for text in (value for name, value in form.items() if re.fullmatch(r"pick-[0-9]{1,4}", name)):
        day, _, prediction_id = text.partition("~")
        try:
            found.append((clock.parse_day(day), prediction_id))
        except UsageError as error:
            raise Refused(422, "bad_picture", str(error)) from None
    if not 1 <= len(found) <= MOST_PICKED:
        raise Refused(422, "bad_selection", f"expected 1 to {MOST_PICKED} marked pictures, got {len(found)}. Mark some and try "
                                            f"again.")
    return found


def read_rows(room: Room, model: str, picked: list[tuple[str, str]], hides_audits: bool) -> list[dict[str, Any]]:
    """Reads the rows that were marked, in their order; what is not there, or waits for a blind audit, is left out."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for day in dict.fromkeys(day for day, _ in picked):
        names = [name for of, name in picked if of == day]
        rows |= {(day, row["prediction_id"]): row for row in room.search.read_named(model, day, names, hides_audits)}
    return [room.judge(rows[one]) for one in picked if one in rows]


def _show_wrong_address(site: Site, request: Request, caller: Caller, refused: Refused) -> Response:
    if not wants_page(request):
        raise refused
    return site.render(request, "pictures_wrong.html", caller, refused.status, message=refused.message)


async def _show_grid(site: Site, room: Room, request: Request, caller: Caller, question: Question) -> Response:
    hides = caller.may("label")
    compared = None
    if question.similar:
        found, *compared = await run_in_thread(room.similar.find, question, PAGE_ROWS, hides)
    else:
        found = await run_in_thread(room.find, question, PAGE_ROWS, hides)
    rows = [room.judge(row) for row in found.rows]
    for row in rows:
        row |= {"mark": MARKS[row["verdict"]], "address": _make_address(row, question)}
    names = await run_in_thread(site.list_models)
    suggested = await run_in_thread(room.suggest, question)
    in_doubt = await run_in_thread(room.suspected.is_there, question.model)
    classes = sorted({*await run_in_thread(site.list_classes, question.model), *suggested["classes"]})
    return site.render(
        request, "pictures.html", caller, question=question, rows=rows, found=found, said=_say_count(question, found),
        compared=compared, names=names, suggested=suggested, classes=classes, sorts=SORTS, verdicts=VERDICTS, origins=ORIGINS,
        chips=list_chips(question), attribute=ATTRIBUTE, sent=_read_sent(request), query=question.write_query(),
        following=question.write_address(after=found.rows[-1]["place"].write()) if found.more else None,
        first=question.write_address(after=None) if question.after else None, percent=write_percent,
        suspects=link_to_suspects(question.model) if in_doubt else None,
        busy=room.joiner.is_busy(question.model), failed=room.joiner.failed.get(question.model), unnamed=UNNAMED,
        renews=bool(found.unread or (found.unjoined and room.joiner.is_busy(question.model)) or (compared and not compared[1])))


def _read_sent(request: Request) -> int | None:
    text = request.query_params.get("sent", "")
    return int(text) if re.fullmatch("[0-9]{1,4}", text) else None


def _say_count(question: Question, found: Found) -> str:
    """Says how many pass: exactly when all days were read, else at least how many."""
    exact = not found.unread and not (question.by_time and found.more) and not (question.wants_label and found.unjoined)
    n = max(found.count - found.hidden, len(found.rows)) if not question.after else len(found.rows)
    least = "" if exact and not question.after else "at least "
    return f"{least}{write_number(n)} prediction{'' if n == 1 else 's'}"


def list_chips(question: Question) -> list[tuple[str, str, str]]:
    """Lists the filters of a question: (name, value, the address without it)."""
    base = replace(question, after=None)
    chips = [(NAMES[name], value, base.write_address(**{name: None})) for name, value in question.filters.items()]
    for name, value in question.attributes.items():
        rest = {other: v for other, v in question.attributes.items() if other != name}
        chips.append((name, value, replace(base, attributes=rest).write_address()))
    return chips


def _make_address(row: dict[str, Any], question: Question) -> str:
    query = replace(question, similar=None).write_query()
    return f"{PAGE}/one/{row['day']}/{quote(row['prediction_id'], safe='')}?{query}"


async def _show_one(site: Site, room: Room, request: Request, caller: Caller, question: Question, day: str,
                    prediction_id: str) -> Response:
    try:
        found = await run_in_thread(_describe, room, question, day, prediction_id, caller.may("label"))
    except NotFound as error:
        raise Refused(404, "no_prediction", str(error)) from None
    if found["hidden"]:
        raise Refused(403, "waits_for_audit", "This prediction waits for a blind audit: it is asked there and not answered yet. "
                      "Who may label sees what the model said of it after somebody has answered.")
    row = found["row"]
    top = list(zip(row["top_labels"] or [row["predicted_label"]], row["top_probabilities"] or [row["confidence"]],
                   strict=False))[:5]
    by = {name: link_to_pictures(question.model, {"predicted": row["predicted_label"], **more})
          for name, more in (("predicted", {}), ("cell", {"label": found["label"] or UNNAMED}))}
    attributes = [(name, value, link_to_pictures(question.model, {}, {name: value}))
                  for name, value in sorted(row["attributes"] or [])]
    neighbours = {name: _make_address(found[name], question) if found[name] else None for name in ("previous", "next")}
    similar = link_to_pictures(question.model, {}) + f"&similar={row['image_sha256']}"
    return site.render(request, "picture.html", caller, question=question, day=day, prediction_id=prediction_id, found=found,
                       row=row, mark=MARKS[found["verdict"]], top=top, attributes=attributes, by=by, similar=similar,
                       history=list_history(row, found["labels"]), back=question.write_address(after=None),
                       neighbours=neighbours, percent=write_percent, stored=bool(row["image_uri"] and row["image_sha256"]))


def _describe(room: Room, question: Question, day: str, prediction_id: str, hides_audits: bool) -> dict[str, Any]:
    return room.describe(question, clock.parse_day(day), prediction_id, hides_audits)
