"""`/pictures/suspects`: labels that are likely wrong, with their pictures, and a button that asks people about them, blind.

Who may label does not see what waits for their blind answer (contract/review/strongest.py), as among all pictures.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from contract.review.suspects import Suspect
from contract.texts.figures import write_percent
from contract.texts.pictures_link import PAGE, SUSPECTS_PAGE, link_to_picture, link_to_suspects
from inference.auth import Caller, Refused, read_form, require
from inference.pages.site import Site, run_in_thread
from inference.pictures.room import Room

MOST_SENT = 500


def make_router(site: Site, room: Room) -> APIRouter:
    """Makes the routes of the page and of its button."""
    router = APIRouter()

    @router.get(SUSPECTS_PAGE)
    async def show(request: Request, caller: Caller = Depends(require("read"))) -> Response:
        names = await run_in_thread(site.list_models)
        name = request.query_params.get("model") or names[0]
        found = await run_in_thread(room.suspected.find, name, caller.may("label"))
        return site.render(request, "suspects.html", caller, names=names, name=name, found=found, percent=write_percent,
                           address_of=lambda one: _write_address(name, one), sent=_read_number(request, "sent"),
                           not_sent=_read_number(request, "not_sent"))

    @router.post(f"{SUSPECTS_PAGE}/review")
    async def send(request: Request, caller: Caller = Depends(require("read"))) -> Response:
        form = await read_form(request)
        name, text = form.get("model") or site.service.default_model, form.get("most", "")
        if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_SENT:
            raise Refused(422, "bad_selection", f"expected a number from 1 to {MOST_SENT}. Correct it and try again.")
        sent = await run_in_thread(room.suspected.send, name, int(text), caller.id)
        said = urlencode({"sent": sent.new, "not_sent": sum(sent.left_out.values())})
        return RedirectResponse(f"{link_to_suspects(name)}&{said}", 303)

    return router


def _read_number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _write_address(model: str, one: Suspect) -> str:
    """The page of the picture's prediction, or the picture alone where none brought it."""
    if one.prediction_id is None:
        return link_to_picture(model, None, one.image_sha256)
    return f"{PAGE}/one/{one.day}/{quote(one.prediction_id, safe='')}?{urlencode({'model': model})}"
