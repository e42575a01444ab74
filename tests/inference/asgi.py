"""Asks an application as a server would, without one: any bytes may stand anywhere, and what it raises is an answer of 500."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote


class Answer(NamedTuple):
    """What came: status, headers by their names in lower case (several of one name as a list), body."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def error(self) -> dict[str, str]:
        return json.loads(self.body)["error"]

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(app, method: str, target: bytes, headers=(), body: bytes = b"", client: str = "127.0.0.1") -> Answer:
    """One request. `target`: path and query as they stand in the request's first line."""
    raw_path, _, query = target.partition(b"?")
    names = {name.lower() for name, _ in headers}
    own = [(b"host", b"localhost")] * (b"host" not in names)
    own += [(b"content-length", b"%d" % len(body))] * (b"content-length" not in names and method == "POST")
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
             "path": unquote(raw_path.decode("ascii")), "raw_path": raw_path, "query_string": query, "root_path": "",
             "headers": [*own, *((name.lower(), value) for name, value in headers)], "client": (client, 50000),
             "server": ("127.0.0.1", 80), "state": {}}
    status, received, parts, found = 500, [], [], [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return found.pop() if found else {"type": "http.disconnect"}

    async def send(message):
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            received.extend(message["headers"])
        else:
            parts.append(message.get("body", b""))

    with suppress(Exception):  # the server logs it; what was sent before says 500
        await app(scope, receive, send)
    by_name: dict[str, list[str]] = {}
    for name, value in received:
        by_name.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return Answer(status, by_name, b"".join(parts))


def call(app, method: str, target: str, headers=None, body: bytes = b"", client: str = "127.0.0.1") -> Answer:
    """The same from a test without a loop of its own."""
    given = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return asyncio.run(ask(app, method, target.encode(), given, body, client))


def post_json(app, target: str, document: Any, **headers: str) -> Answer:
    """Posts a document."""
    head = {"Content-Type": "application/json", "Accept": "application/json"} | headers
    return call(app, "POST", target, head, json.dumps(document).encode())


def post_form(app, target: str, fields: str, **headers: str) -> Answer:
    """Posts a form that is encoded already."""
    head = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"} | headers
    return call(app, "POST", target, head, fields.encode())
