"""Whether a key was shown a short while ago: to change what is live, a session that somebody left open is not enough."""

from __future__ import annotations

from fastapi import Request

from contract import clock
from inference.auth import SESSION_COOKIE, SESSION_SECONDS, open_session
from inference.keys import KeyRing

FRESH_S = 600


async def is_fresh(request: Request, keyring: KeyRing) -> bool:
    """Says whether the request shows its key itself, or its session was opened with it less than FRESH_S ago."""
    if request.headers.get("authorization"):
        return True
    cookie = request.cookies.get(SESSION_COOKIE)
    session = open_session(await keyring.find_session_secret(), cookie) if cookie else None
    if session is None:
        return False
    opened: int = session["until"] - SESSION_SECONDS
    return clock.now_us() < (opened + FRESH_S) * 1_000_000
