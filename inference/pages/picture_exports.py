"""`/pictures/export/<form>`: what was marked among the pictures, as CSV, a folder (ZIP), or tasks for Label Studio."""

from __future__ import annotations

import re

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse

from contract.texts.pictures_link import PAGE
from inference.auth import Caller, Refused, read_form, require
from inference.pages.pictures import read_picked, read_rows
from inference.pages.site import HEADERS, Site, run_in_thread
from inference.pictures.export import FORMS, export
from inference.pictures.room import Room


def make_router(site: Site, room: Room) -> APIRouter:
    """Makes the route of the exports."""
    router = APIRouter()

    @router.post(f"{PAGE}/export/{{form}}")
    async def send(request: Request, form: str, caller: Caller = Depends(require("read"))) -> Response:
        if form not in FORMS:
            raise Refused(404, "no_export", f"expected one of {', '.join(FORMS)}.")
        fields = await read_form(request)
        model, picked = fields.get("model") or site.service.default_model, read_picked(fields)
        rows = await run_in_thread(read_rows, room, model, picked, caller.may("label"))
        kind, ending = FORMS[form]
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", model)[:60] or "pictures"
        headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}-pictures.{ending}"'}
        return StreamingResponse(export(room.storage, model, rows, form), media_type=kind, headers=headers)

    return router
