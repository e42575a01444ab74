"""Under which name a page's judgements are kept.

With keys it is the key, or, where the key stands for several people, the one that its session or the address names.
Without keys (--no-auth) it is the name that people give, or anonymous; then a cookie tells browsers apart, so that two of
them never get the same batch.
"""

from __future__ import annotations

import re
import secrets
from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.responses import Response

from contract.labels import normalise
from inference.auth import ANONYMOUS, NAME_COOKIE, Caller
from inference.labelling.documents import Batch, BatchHolder

VISITOR_COOKIE = "trueup_visitor"
YEAR = 365 * 24 * 3600


def read_name(request: Request, caller: Caller | None, given: str | None = None) -> str | None:
    """Reads the person that a request names: `given`, or `labeler` in its address, or, without keys, the name form's cookie.

    BadLabel for an impossible name.
    """
    text = given or request.query_params.get("labeler", "")
    if not text and caller is not None and caller.id == ANONYMOUS:
        text = unquote(request.cookies.get(NAME_COOKIE, ""))
    return normalise(text) if text.strip() else None


def identify_holder(request: Request, caller: Caller) -> BatchHolder:
    """Says who gets a batch. Nameless visitors without a cookie are each somebody else."""
    name = read_name(request, caller)
    visitor = ""
    if caller.id == ANONYMOUS and not name:
        shown = request.cookies.get(VISITOR_COOKIE, "")
        visitor = shown if re.fullmatch("[0-9a-f]{16}", shown) else secrets.token_hex(8)
    return BatchHolder(actor=caller.id, labeler=caller.name_labeler(name), visitor=visitor)


def may_answer(batch: Batch, caller: Caller) -> bool:
    """Says whether the batch is this caller's.

    Without keys nobody can prove who they are, so the number is enough.
    """
    return batch.holder.actor == caller.id


def remember_visitor(request: Request, response: Response, holder: BatchHolder) -> Response:
    """Gives a nameless browser its cookie."""
    if holder.visitor and request.cookies.get(VISITOR_COOKIE) != holder.visitor:
        set_cookie(request, response, VISITOR_COOKIE, holder.visitor, YEAR)
    return response


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Sets a cookie for `seconds` that scripts cannot read and other sites cannot use."""
    response.set_cookie(name, quote(value, safe=":="), max_age=seconds, path="/", httponly=True, samesite="lax",
                        secure=request.url.scheme == "https")
