"""`/login`: a session from a key; the first administrator from a one-time link; a name where there are no keys."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from inference.auth import (
    NAME_COOKIE,
    SESSION_COOKIE,
    SESSION_SECONDS,
    Caller,
    NoAuth,
    Refused,
    identify,
    open_session,
    read_form,
    sign_session,
    split_origin,
)
from inference.keys import KeyRing
from inference.labelling.documents import BatchHolder
from inference.pages.landing import list_allowed_pages
from inference.pages.site import Site, refuse_errors, run_in_thread
from inference.pages.visitor import YEAR, read_name, set_cookie
from inference.telemetry import log_event

LONGEST_ADDRESS = 2000  # urlsplit normalises the host's name, in time quadratic in its combining marks


def make_router(site: Site) -> APIRouter:
    """Makes the routes of the login form and of what it posts to."""
    router = APIRouter()

    @router.get("/login")
    async def form(request: Request) -> Response:
        return await _show_form(site, request)

    @router.post("/login")
    async def login(request: Request) -> Response:
        _refuse_other_origin(request)
        fields = await read_form(request)
        if isinstance(site.keyring, NoAuth):
            return _remember_name(request, fields)
        token = fields.get("key", "").strip()
        caller = await site.keyring.identify(token)
        with refuse_errors():
            person = read_name(request, caller, fields.get("labeler", "").strip())
        if caller is None:
            return await _show_form(site, request, 401, "That key is unknown or was revoked.", fields.get("next", "/"), person)
        named = caller.name_labeler(person) != caller.id
        to = keep_local(fields.get("next", "/"))
        first = next((address for address, _ in list_allowed_pages(caller)), "/")
        return await _log_in(site.keyring, request, caller.id, person if named else None, first if to == "/" else to)

    @router.post("/login/first")
    async def first(request: Request) -> Response:
        _refuse_other_origin(request)
        fields = await read_form(request)
        name = fields.get("name", "").strip() or "admin"
        token = None if isinstance(site.keyring, NoAuth) else await run_in_thread(
            site.keyring.accept_invitation, fields.get("invite", ""), name[:100])
        if token is None:
            raise Refused(410, "used_up", "this link was used, is older than a day, or a key exists already. Make a "
                          "key with `trueup keys add NAME --role admin`.")
        return site.render(request, "first_key.html", None, token=token)

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        caller = await identify(request)  # a form of another site is refused here
        if caller is not None and not isinstance(site.keyring, NoAuth):
            await _end_session(site, site.keyring, request, caller)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response

    return router


async def _show_form(site: Site, request: Request, status: int = 200, error: str = "", next_: str = "",
                     name: str | None = None) -> Response:
    caller = await identify(request) if request.method == "GET" and "authorization" not in request.headers else None
    with refuse_errors():
        name = name or read_name(request, caller) or ""
    return site.render(request, "login.html", caller, status, error=error, name=name,
                       next=keep_local(next_ or request.query_params.get("next", "/")),
                       invite=request.query_params.get("invite", ""))


async def _log_in(keyring: KeyRing, request: Request, key_id: str, person: str | None, to: str) -> Response:
    """Starts a session of that key, or of one of its people, and leads on to the address `to`."""
    secret = await keyring.find_session_secret()
    response = RedirectResponse(to, 303)
    set_cookie(request, response, SESSION_COOKIE, sign_session(secret, key_id, person), SESSION_SECONDS)
    return response


async def _end_session(site: Site, keyring: KeyRing, request: Request, caller: Caller) -> None:
    """Ends the session of the cookie everywhere, and gives back what its person holds; logs what the store does not take."""
    cookie = request.cookies.get(SESSION_COOKIE)
    session = open_session(await keyring.find_session_secret(), cookie) if cookie else None
    if not cookie or session is None:
        return
    keyring.ended.end_here(cookie, session["until"])
    try:
        await run_in_thread(keyring.ended.end, cookie, session["until"])
        await run_in_thread(site.release_batches, BatchHolder(actor=caller.id, labeler=caller.name_labeler()))
    except Refused as error:
        log_event("logout is known to this replica alone", logging.WARNING, key=caller.id, error=error.message)


def _remember_name(request: Request, fields: dict[str, str]) -> Response:
    """Keeps, where there are no keys, the name under which judgements are kept, in a cookie."""
    with refuse_errors():
        name = read_name(request, None, fields.get("name", "").strip()) or ""
    response = RedirectResponse(keep_local(fields.get("next", "/")), 303)
    if name:
        set_cookie(request, response, NAME_COOKIE, name, YEAR)
    else:
        response.delete_cookie(NAME_COOKIE, path="/")
    return response


def keep_local(address: str) -> str:
    """Returns the address if it is one of this site, else '/': a login must not send people elsewhere."""
    if len(address) > LONGEST_ADDRESS or (parts := split_origin(address)) is None:
        return "/"
    safe = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if safe and not parts.scheme and not parts.netloc and address.isprintable() else "/"


def _refuse_other_origin(request: Request) -> None:
    """Refuses (403) a form of another site. No session has a token yet, so the browser's own word must do."""
    origin = request.headers.get("origin")
    parts = split_origin(origin) if origin else None
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or (
            origin and (parts is None or parts.netloc != request.headers.get("host"))):
        raise Refused(403, "foreign_origin", "the login form was sent from another site.")
