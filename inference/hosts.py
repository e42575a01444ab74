"""Whom requests are for: a Host that is no host is refused, and where there are no keys every name but this machine's.

Without keys the browser is what keeps other sites out, and a browser believes names: one that is pointed to 127.0.0.1 after
its page was loaded (DNS rebinding) makes that page of the same origin as the service. The Host still says the name.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from html import escape

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# A name or an IPv4 address, or an IPv6 address in brackets; then a port. Whatever else it was, addresses made of it fail later.
HOST = re.compile(r"(?P<name>[A-Za-z0-9._~%-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{0,5})?")

PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff"}


class HostCheck:
    """ASGI middleware that checks the Host header of each request."""

    def __init__(self, app: ASGIApp, allowed: Collection[str] | None = None) -> None:
        """`allowed`: the names that are answered, None for all of them."""
        self.app, self.allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers 400 or 421."""
        if scope["type"] != "http" or (problem := self.explain(Headers(scope=scope).getlist("host"))) is None:
            return await self.app(scope, receive, send)
        status, code, message = problem
        if "text/html" in Headers(scope=scope).get("accept", "") and self.allowed:
            return await HTMLResponse(_make_page(message, scope), status, PAGE_HEADERS)(scope, receive, send)
        return await JSONResponse({"error": {"code": code, "message": message}}, status)(scope, receive, send)

    def explain(self, hosts: list[str]) -> tuple[int, str, str] | None:
        """Returns what is wrong with the Host headers of a request: status, code, message; None when nothing is."""
        found = HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if hosts and found is None:
            return 400, "bad_host", f"expected one header Host, a name and perhaps a port, got {ascii(hosts)[:80]}."
        if self.allowed is None or (found and found["name"].strip("[]").lower() in self.allowed):
            return None
        return 421, "not_local", (f"this service runs without keys, and answers only for {', '.join(sorted(self.allowed))}: got "
                                  f"{ascii(hosts[0] if hosts else None)[:80]}. Use one of those, or serve with keys.")


def _make_page(message: str, scope: Scope) -> str:
    """Makes the page for a person who used another name of this machine; under that name no style would be answered, either."""
    port = (scope.get("server") or ("", 80))[1] or 80
    home = f"http://127.0.0.1:{port}/"
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Another address · Trueup</title></head>'
            f"<body><main><h1>Trueup has another address</h1><p>{escape(message[:1].upper() + message[1:])}</p>"
            f'<p><a href="{home}">Open {home}</a></p></main></body></html>')
