"""uvicorn's HTTP protocol with limits for what comes before the application hears of a request.

uvicorn bounds none of it: a head of any size is collected, for as long as it takes to come. Refusals have the form of
all others, `{"error": {"code", "message"}}`.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MOST_HEAD_BYTES = 64 << 10
MOST_URL_BYTES = 8 << 10
# From its first byte on; a connection that says nothing may do so as long as one that is kept alive.
HEAD_S = 10.0
# So long the rest of a body may come that nobody reads any more, because the request was refused.
LINGER_S = 5.0
CLOSE = b"connection: close\r\n\r\n"


class HeadRefused(Exception):
    """The head of a request is more than is taken, or has not come: HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._heads = 0
        self._head_bytes: int | None = None  # of the head that is coming; None between heads
        self._body_comes = False
        self._refusal: HeadRefused | None = None
        self._timer: asyncio.TimerHandle | None = None

    # -- the connection ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins; a connection that never asks anything ends, too."""
        super().connection_made(transport)
        self._set_timer(self.timeout_keep_alive, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes bytes; of a head whose end they do not bring no more than MOST_HEAD_BYTES."""
        heads = self._heads
        super().data_received(data)
        # What a head began with may be the end of the body before it: that is not counted.
        if self._head_bytes is not None and self._heads == heads and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(_make_too_large("the head of a request", MOST_HEAD_BYTES, 431))

    def send_400_response(self, msg: str) -> None:
        """Answers what was refused, or is no HTTP. While an earlier request is being answered nothing is said of it: the
        connection closes after that answer."""
        if self.cycle is not None and not self.cycle.response_complete and not self._body_comes:
            self.cycle.keep_alive = False
            return
        refusal = self._refusal or HeadRefused(400, "bad_request", msg)
        body = json.dumps({"error": {"code": refusal.code, "message": refusal.message}}).encode()
        headers = [name + b": " + value + b"\r\n" for name, value in [
            *self.server_state.default_headers, (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode())]]
        self.transport.write(b"".join([STATUS_LINE[refusal.status], *headers, CLOSE, body]))
        self.transport.close()

    # -- what the parser finds --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        super().on_message_begin()
        self._heads, self._head_bytes = self._heads + 1, 0
        self._set_timer(HEAD_S, self._refuse_slow_head)

    def on_headers_complete(self) -> None:
        """The end of a head: it is judged before the application hears of it."""
        self._stop_timer()
        self._head_bytes = None
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.url) > MOST_URL_BYTES:
            self._refusal = _make_too_large("a URL", MOST_URL_BYTES, 414)
        elif size > MOST_HEAD_BYTES:
            self._refusal = _make_too_large("the head of a request", MOST_HEAD_BYTES, 431)
        if self._refusal:
            raise self._refusal  # the parser makes an error of it, which data_received answers
        self._body_comes = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The end of a body."""
        self._body_comes = False
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The end of an answer; a body that still comes then is read, and thrown away, for LINGER_S only."""
        super().on_response_complete()
        if self._body_comes and self.cycle.response_complete and not self.transport.is_closing():
            self._set_timer(LINGER_S, self.transport.close)

    # -- limits -----------------------------------------------------------------------------------------------------

    def _refuse_slow_head(self) -> None:
        self._refuse(HeadRefused(408, "too_slow", f"expected the head of the request within {HEAD_S:g} s."))

    def _refuse(self, refusal: HeadRefused) -> None:
        self._refusal = refusal
        if not self.transport.is_closing():
            self.send_400_response(refusal.message)

    def _set_timer(self, seconds: float, action: Any) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, action)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _make_too_large(what: str, most: int, status: int) -> HeadRefused:
    return HeadRefused(status, "too_large", f"expected {what} of at most {most:,} bytes, got more. Send less.")
