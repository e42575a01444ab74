"""Where a key lands: on the first page that it may open, not on a refusal."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request

from inference.auth import Caller, Refused, identify

STARTS = ("/", "/overview")


def find_landing(request: Request, caller: Caller | None, error: Refused, allowed: list[tuple[str, str]]) -> str | None:
    """Finds the page to lead to instead of a refusal: of a start page that this caller's roles do not open, the first of
    theirs (`allowed`, as (address, name)). None elsewhere: who asks for a page by its name is told what it needs."""
    starts = request.url.path in STARTS and request.method in ("GET", "HEAD")
    if not starts or error.status != HTTPStatus.FORBIDDEN or error.code != "forbidden" or caller is None:
        return None
    return next((address for address, _ in allowed if address != request.url.path), None)


async def find_caller(request: Request) -> Caller | None:
    """Finds who was refused, so that the page of the refusal shows them what they may open; None for nobody known."""
    try:
        return await identify(request)
    except Refused:
        return None
