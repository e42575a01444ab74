"""How slowly a request's body may come, and how many bytes all bodies may hold: for every route, whoever reads it.

ASGI middleware around everything. Bytes count from when they arrive until the request ends, for the key that `require`
finds, so that one key's bodies leave room for the others'; those of callers not known yet share one such part. A refusal
does not close the connection: the caller, who may still be sending, would lose the answer. inference.protocol closes it.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract import clock
from contract.settings import ServeSettings
from inference.auth import BODY, Refused

# A connection may take so long to get going; after it the least rate counts.
GRACE_S = 10.0
UNKNOWN = "?"


class HeldBytes:
    """The bytes of all bodies of one service, on one event loop."""

    def __init__(self, most: int, share: float) -> None:
        """`share`: of them, that one key may hold at the most."""
        self.most, self.most_of_key = most, int(most * share)
        self.total, self._of = 0, Counter[str]()

    def add(self, owner: str | None, size: int) -> None:
        """Counts `size` bytes more, fewer when negative."""
        self.total += size
        if owner is not None:
            self._of[owner] += size
            if not self._of[owner]:
                del self._of[owner]

    def has_room(self, owner: str | None, mine: int, more: int) -> bool:
        """Says whether a body that has brought `mine` bytes may bring `more`. One that is alone may, whatever its size."""
        of_owner = self._of[owner] if owner is not None else mine
        return (self.total + more <= self.most or self.total == mine) and (
            of_owner + more <= self.most_of_key or of_owner == mine)


class Body:
    """The body of one request, as it comes."""

    def __init__(self, held: HeldBytes) -> None:
        self._held = held
        self._owner: str | None = UNKNOWN
        self.began, self.size, self.ended = clock.monotonic(), 0, False

    def change_owner(self, owner: str | None) -> None:
        """Says whose key the request shows; None where there are no keys."""
        self._held.add(self._owner, -self.size)
        self._owner = owner
        self._held.add(owner, self.size)

    def take(self, message: Message) -> None:
        """Counts what has come. Refused (503)."""
        more = len(message.get("body", b""))
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        if more and not self._held.has_room(self._owner, self.size, more):
            raise Refused(503, "bodies_full", f"the bodies of requests under way hold {self._held.total:,} bytes. Try again "
                          f"later, with fewer at once.", {"Retry-After": "2"})
        self._held.add(self._owner, more)
        self.size += more

    def release(self) -> None:
        """Lets go of its bytes: the request has ended."""
        self._held.add(self._owner, -self.size)
        self.size = 0


class BodyLimits:
    """The middleware: a deadline, a least rate, and a limit on bytes."""

    def __init__(self, app: ASGIApp, serve: ServeSettings) -> None:
        self.app, self.deadline_s, self.rate = app, serve.deadline_seconds, serve.body_rate
        self.held = HeldBytes(serve.held_bytes, serve.key_share)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, with a `receive` that refuses (408, 503)."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        body = scope[BODY] = Body(self.held)

        async def receive_limited() -> Message:
            return await receive() if body.ended else await self._receive(body, receive)

        try:
            return await self.app(scope, receive_limited, send)
        finally:
            body.release()

    async def _receive(self, body: Body, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self._compute_timeout(body)):
                message = await receive()
        except TimeoutError:
            raise Refused(408, "too_slow", f"expected the body within {self.deadline_s:g} s, and after {GRACE_S:g} s at "
                          f"least {self.rate:,} bytes of it a second; got {body.size:,} bytes.") from None
        body.take(message)
        return message

    def _compute_timeout(self, body: Body) -> float:
        """Returns how many seconds the next bytes may take to come."""
        allowed = GRACE_S + body.size / self.rate if self.rate else self.deadline_s
        return body.began + min(self.deadline_s, allowed) - clock.monotonic()
