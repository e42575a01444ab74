"""A browser without a network: keeps cookies, follows redirects, asks the application itself."""

import asyncio
from typing import NamedTuple
from urllib.parse import urlencode

from tests.inference.asgi import ask


class Page(NamedTuple):
    """What came, and from which path."""

    status_code: int
    path: str
    text: str


class Client:
    """`get` and `post` as of a browser, or of a program by `headers`."""

    def __init__(self, app):
        self.app, self.cookies = app, {}

    def get(self, path, params=None, **headers):
        return self._ask("GET", path + (f"?{urlencode(params)}" if params else ""), b"", headers)

    def post(self, path, data, **headers):
        return self._ask("POST", path, urlencode(data).encode(), headers)

    def _ask(self, method, target, body, headers):
        sent = {"accept": "text/html", "cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items()),
                "content-type": "application/x-www-form-urlencoded"} | headers
        lines = [(name.encode(), value.encode()) for name, value in sent.items() if value]
        answer = asyncio.run(ask(self.app, method, target.encode(), lines, body))
        for line in answer.headers.get("set-cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        if answer.status == 303:
            return self._ask("GET", answer.headers["location"][0], b"", headers)
        return Page(answer.status, target.partition("?")[0], answer.body.decode())
