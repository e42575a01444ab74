"""Who is calling, and what they may do: a FastAPI dependency per role.

    @app.post("/v1/labels")
    async def labels(caller: Caller = Depends(require("label"))): ...

A caller shows `Authorization: Bearer <id>.<secret>`, or the session cookie of a page; requests with a cookie that
change something also need the session's CSRF token (header `X-CSRF-Token`, or the form field `csrf`). `install` gives the
application its keyring (inference.keys.KeyRing, or NoAuth) and turns refusals into `{"error": {"code", "message"}}`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

from fastapi import FastAPI, Request, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.formparsers import MultiPartException

from contract import clock
from contract.errors import BadLabel, shorten
from contract.labels import normalise
from inference.hosts import HostCheck
from inference.telemetry import PREDICTION_ID, log_event

if TYPE_CHECKING:
    from inference.keys import KeyRing

ROLES = ("predict", "label", "read", "admin")
SESSION_COOKIE, NAME_COOKIE = "trueup_session", "trueup_name"
SESSION_SECONDS = 7 * 24 * 3600
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANONYMOUS = "anonymous"
LARGEST_FORM = 1 << 20
FORM = "application/x-www-form-urlencoded"
# Keys of a request's ASGI scope: its Body (inference.body_limits), and its Caller once that is known.
BODY, CALLER = "trueup.body", "trueup.caller"


@dataclass(frozen=True)
class Caller:
    """Somebody who may do something. `rate`: most requests per second, None for no limit.

    A key is one person, unless it `names_labelers`; then `person` is who the session was opened for, if anybody was named.
    """

    id: str
    name: str
    roles: frozenset[str]
    rate: float | None = field(default=None, compare=False)
    names_labelers: bool = field(default=False, compare=False)
    person: str | None = field(default=None, compare=False)

    def may(self, role: str) -> bool:
        """Says whether the caller has the role; admin implies all."""
        return role in self.roles or "admin" in self.roles

    @property
    def share_name(self) -> str | None:
        """Whose share of places and bytes a request takes; None where there are no keys to tell callers apart."""
        return None if self.id == ANONYMOUS else self.id

    def name_labeler(self, person: str | None = None) -> str:
        """Returns the name under which this caller's judgements are kept.

        A `person` that the caller names is put under the key's id, so that no key can speak for another one's people; the
        person may come so already. Refused (403) where the key is one person, and this is another: names invented under one
        key would outvote everybody else.
        """
        if self.id == ANONYMOUS:
            return person or ANONYMOUS
        person = (None if person == self.id else person and person.removeprefix(f"{self.id}/")) or self.person
        if person is None:
            return self.id
        if self.names_labelers or self.may("admin"):
            return f"{self.id}/{person}"
        if person in (self.name, _normalise_or_none(self.name)):
            return self.id
        raise Refused(403, "labeler_not_allowed", f"the key {self.id} is one person, {shorten(self.name)}: expected its own "
                      f"name as labeler, or none, got {shorten(person)}. For a key that stands for several people run: "
                      f"trueup keys add NAME --role label --may-name-labelers.")

    def may_speak_for(self, person: str) -> bool:
        """Says whether judgements may be kept under this person's name."""
        try:
            self.name_labeler(_normalise_or_none(person))
        except Refused:
            return False
        return True


def _normalise_or_none(name: str) -> str | None:
    try:
        return normalise(name)
    except BadLabel:
        return None


class Refused(Exception):
    """An answer of 4xx or 5xx: the HTTP status, a short code for programs, a sentence for people."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class NoAuth:
    """For development, on loopback only: every caller is anonymous and has every role."""

    everyone = Caller(ANONYMOUS, ANONYMOUS, frozenset(ROLES))


Keys: TypeAlias = "KeyRing | NoAuth"


def install(app: FastAPI, keyring: Keys) -> None:
    """Gives the application its keyring, the JSON form of refusals, and the check of the Host header."""
    app.add_middleware(HostCheck, allowed=LOOPBACK if isinstance(keyring, NoAuth) else None)
    app.state.keyring = keyring
    app.state.buckets = {}
    app.add_exception_handler(Refused, answer_refusal)


async def answer_refusal(request: Request, error: Exception) -> JSONResponse:
    """Answers `{"error": {"code", "message"}}` with the refusal's status."""
    assert isinstance(error, Refused)
    if PREDICTION_ID.get():
        log_event("refused", status=error.status, code=error.code, reason=error.message)
    return JSONResponse(make_error(error.code, error.message), error.status, headers=error.headers)


def make_error(code: str, message: str) -> dict[str, Any]:
    """Makes `{"error": {"code", "message"}}`. What UTF-8 cannot hold of a text that came from outside is spelled out."""
    return {"error": {"code": code, "message": message.encode("utf-8", "backslashreplace").decode()}}


bearer = HTTPBearer(auto_error=False, description="A key made with `trueup keys add NAME --role ROLE`: <id>.<secret>")


def require(*roles: str) -> Callable[..., Awaitable[Caller]]:
    """Makes a dependency that returns the Caller, or refuses: 401 without a good key, 403 without any of the roles.

    ValueError for an unknown role.
    """
    if not roles or set(roles) - set(ROLES):
        raise ValueError(f"expected roles among {ROLES}, got {roles!r}")

    async def caller(request: Request, _: HTTPAuthorizationCredentials | None = Security(bearer)) -> Caller:
        known = await identify(request)
        if known is None:
            raise Refused(401, "unauthorized", "expected `Authorization: Bearer <key>` with a key that works. "
                          "Make one with `trueup keys add NAME --role ROLE`.", {"WWW-Authenticate": "Bearer"})
        request.scope[CALLER] = known
        if not any(known.may(role) for role in roles):
            raise Refused(403, "forbidden", f"this needs the role {' or '.join(roles)}; the key {known.id} has: "
                          f"{', '.join(sorted(known.roles))}.")
        limit_rate(request.app, known)
        if (body := request.scope.get(BODY)) is not None:
            body.change_owner(known.share_name)
        return known

    return caller


async def identify(request: Request) -> Caller | None:
    """Returns the caller of a request, None when nobody is known. Refused (403): a change without the session's CSRF token, or
    without keys one that another site's page asks for."""
    keyring: Keys = request.app.state.keyring
    if isinstance(keyring, NoAuth):
        _refuse_foreign_page(request)
        return keyring.everyone
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        return await keyring.identify(token.strip()) if scheme.lower() == "bearer" else None
    return await _identify_by_session(request, keyring)


async def _identify_by_session(request: Request, keyring: KeyRing) -> Caller | None:
    cookie = request.cookies.get(SESSION_COOKIE)
    if not cookie:
        return None
    secret = await keyring.find_session_secret()
    session = open_session(secret, cookie)
    if session is None or keyring.ended.has(cookie):
        return None
    if request.method not in SAFE_METHODS and not await _shows_csrf_token(request, make_csrf_token(secret, cookie)):
        raise Refused(403, "csrf", "the form is not from this session. Reload the page and try again.")
    return await keyring.identify_session(session["key"], session.get("labeler"))


async def _shows_csrf_token(request: Request, expected: str) -> bool:
    """Says whether a header or a form field of the request is the expected CSRF token."""
    shown = request.headers.get("x-csrf-token")
    if shown is None and request.headers.get("content-type", "").startswith(FORM):
        shown = (await read_form(request)).get("csrf", "")
    return hmac.compare_digest((shown or "").encode("ascii", "replace").decode(), expected)


async def read_form(request: Request) -> dict[str, str]:
    """Reads the fields of a form of at most LARGEST_FORM bytes. Refused (413, 415, 422)."""
    size = parse_length(request.headers.get("content-length", ""))
    if size is None or size > LARGEST_FORM:
        raise Refused(413, "too_large", f"expected a form of at most {LARGEST_FORM} bytes and a Content-Length.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM and size:  # multipart brings encodings of its own, and no page of ours sends it
        raise Refused(415, "unsupported_media_type", f"expected a form (Content-Type {FORM}), got {shorten(kind)}.")
    await request.body()  # Starlette keeps it, so whoever reads the body after the check of the CSRF token gets it, too
    try:
        return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    except MultiPartException as error:
        raise Refused(422, "bad_form", f"expected a form: {error.message}") from None


def parse_length(text: str) -> int | None:
    """Parses a Content-Length; None for anything but up to 18 digits, also for such as '²', which are digits elsewhere."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def split_origin(origin: str) -> SplitResult | None:
    """Splits the address of a page; None for a text that is no address."""
    try:
        return urlsplit(origin)
    except ValueError:
        return None


def _refuse_foreign_page(request: Request) -> None:
    """Refuses (403) what another site's page posts: without keys, any page in the developer's browser could."""
    origin = request.headers.get("origin")
    if request.method in SAFE_METHODS or origin is None:
        return
    allowed = getattr(request.app.state, "cors_origins", ())
    parts = split_origin(origin)
    local = parts is not None and parts.hostname in LOOPBACK
    if not local and origin not in allowed and "*" not in allowed:
        raise Refused(403, "foreign_origin", f"without keys, pages of {shorten(origin)} may not change anything here.")


# -- sessions ---------------------------------------------------------------------------------------------------------


def sign_session(secret: bytes, key_id: str, person: str | None = None) -> str:
    """Makes a signed cookie value that names a key, and whom of its people; no two are alike.

    It ends after SESSION_SECONDS, with its key, or when it is ended (inference/sessions.py).
    """
    body = {"key": key_id, "until": clock.now_us() // 1_000_000 + SESSION_SECONDS, "nonce": secrets.token_hex(8)}
    body |= {"labeler": person} if person else {}
    text = base64.urlsafe_b64encode(json.dumps(body).encode()).decode()
    return f"{text}.{_sign(secret, 'session', text)}"


def open_session(secret: bytes, cookie: str) -> dict[str, Any] | None:
    """Reads the session of a cookie; None when the signature is not ours or its time is over."""
    text, _, signature = cookie.partition(".")
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), _sign(secret, "session", text).encode()):
        return None
    session = json.loads(base64.urlsafe_b64decode(text))
    return session if session["until"] > clock.now_us() // 1_000_000 else None


def make_csrf_token(secret: bytes, cookie: str) -> str:
    """Makes the CSRF token of a session: derived from its cookie, so that no replica has to remember it."""
    return _sign(secret, "csrf", cookie)


def _sign(secret: bytes, purpose: str, text: str) -> str:
    return hmac.new(secret, f"{purpose}:{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


# -- limits -----------------------------------------------------------------------------------------------------------


def limit_rate(app: FastAPI, caller: Caller) -> None:
    """Counts one request against the key's rate, by a token bucket that holds one second's worth. Refused (429)."""
    if caller.rate is None:
        return
    size, now = max(caller.rate, 1.0), clock.monotonic()
    left, seen = app.state.buckets.get(caller.id, (size, now))
    left = min(size, left + (now - seen) * caller.rate)
    app.state.buckets[caller.id] = (left - 1 if left >= 1 else left, now)
    if left < 1:
        wait = (1 - left) / caller.rate
        raise Refused(429, "too_many_requests", f"the key {caller.id} may send {caller.rate:g} requests a second. "
                      f"Wait {wait:.1f} s.", {"Retry-After": str(int(wait) + 1)})
