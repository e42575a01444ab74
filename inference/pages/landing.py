"""The menu, and where a key lands: on the first page that it may open, not on a refusal."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request

from inference.auth import Caller

STARTS = ("/", "/overview")
# Address, name, and the role that it needs, or the roles of which one will do.
NAVIGATION = (("/overview", "Overview", "read"), ("/", "Classify", "predict"), ("/audit", "Audit", "label"),
              ("/review", "Review", "label"), ("/me", "My work", "label"), ("/pictures", "Pictures", "read"),
              ("/models", "Models", "read"), ("/reports", "Reports", "read"), ("/docs", "API", "predict label"))


def list_allowed_pages(caller: Caller | None) -> list[tuple[str, str]]:
    """Lists the pages that a caller may open, as (address, name); all of them for somebody not known yet."""
    return [(address, name) for address, name, roles in NAVIGATION
            if caller is None or any(caller.may(role) for role in roles.split())]


def find_landing(request: Request, caller: Caller | None, status: int, code: str) -> str | None:
    """Finds the page to lead to instead of a refusal: of a start page that this caller's roles do not open, the first of
    theirs. None elsewhere: who asks for a page by its name is told what it needs."""
    starts = request.url.path in STARTS and request.method in ("GET", "HEAD")
    if not starts or status != HTTPStatus.FORBIDDEN or code != "forbidden" or caller is None:
        return None
    return next((address for address, _ in list_allowed_pages(caller) if address != request.url.path), None)
