"""`/login`: a session from a key; the first administrator from a one-time link; a name where there are no keys."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from inference.auth import (
    NAME_COOKIE,
    SESSION_COOKIE,
    SESSION_SECONDS,
    NoAuth,
    Refused,
    identify,
    read_form,
    sign_session,
)
from inference.keys import KeyRing
from inference.pages.site import Site, list_allowed_pages, refuse_errors, run_in_thread
from inference.pages.visitor import YEAR, read_name, set_cookie

LONGEST_ADDRESS = 2000  # urlsplit normalises the host's name, in the square of the marks that it has in a row


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
        if caller is None:
            return await _show_form(site, request, 401, "That key is unknown or was revoked.", fields.get("next", "/"))
        to = keep_local(fields.get("next", "/"))
        first = next((address for address, _ in list_allowed_pages(caller)), "/")
        return await _log_in(site.keyring, request, caller.id, first if to == "/" else to)

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
        await identify(request)  # a form of another site is refused here
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response

    return router


async def _show_form(site: Site, request: Request, status: int = 200, error: str = "", next_: str = "") -> Response:
    caller = await identify(request) if request.method == "GET" and "authorization" not in request.headers else None
    with refuse_errors():
        name = read_name(request, caller) or ""
    return site.render(request, "login.html", caller, status, error=error, name=name,
                       next=keep_local(next_ or request.query_params.get("next", "/")),
                       invite=request.query_params.get("invite", ""))


async def _log_in(keyring: KeyRing, request: Request, key_id: str, to: str) -> Response:
    """Starts a session of that key, and leads on to the address `to`."""
    secret = await keyring.find_session_secret()
    response = RedirectResponse(to, 303)
    set_cookie(request, response, SESSION_COOKIE, sign_session(secret, key_id), SESSION_SECONDS)
    return response


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
    if len(address) > LONGEST_ADDRESS:
        return "/"
    parts = urlsplit(address)
    safe = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if safe and not parts.scheme and not parts.netloc and address.isprintable() else "/"


def _refuse_other_origin(request: Request) -> None:
    """Refuses (403) a form of another site. No session has a token yet, so the browser's own word must do."""
    origin = request.headers.get("origin")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or (
            origin and urlsplit(origin).netloc != request.headers.get("host")):
        raise Refused(403, "foreign_origin", "the login form was sent from another site.")
