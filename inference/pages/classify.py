"""`/`: drop or choose an image, see the top five, say what is right. The page calls the public API, nothing else."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from inference.auth import Caller, require
from inference.pages.site import Site, refuse_errors, run_in_thread
from inference.pages.visitor import read_name


def make_router(site: Site) -> APIRouter:
    """Makes the route of the start page."""
    router = APIRouter()

    @router.get("/")
    async def classify(request: Request, caller: Caller = Depends(require("predict"))) -> Response:
        names = list(dict.fromkeys((site.service.default_model, *site.service.models)))
        classes = await run_in_thread(site.list_classes, site.service.default_model)
        with refuse_errors():
            name = read_name(request, caller)
        caller.name_labeler(name)  # refused here, not with the first label
        return site.render(request, "classify.html", caller, models=names, may_label=caller.may("label"),
                           classes=classes, labeler=name or "", by_url=bool(site.service.settings.serve.urls))

    return router
