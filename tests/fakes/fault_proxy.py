"""An HTTP proxy in front of moto's server that fails as networks and stores do. moto keeps its objects meanwhile.

    with FaultProxy(moto_server) as proxy:          # proxy.url is the endpoint
        proxy.fault = lambda method, path: "lose"   # or another of KINDS; None: no fault
"""

import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.fakes.forwarding import Forwarder, ask_real, read_body

# refuse: closed without reading; hang: no answer for a while, then closed; cut: half of the answer; lose: carried out,
# and no answer; error: 503 without being carried out; broken: 500 likewise.
KINDS = ("refuse", "hang", "cut", "lose", "error", "broken")
STATUS = {"error": b"503 Slow Down", "broken": b"500 Internal Server Error"}


class FaultProxy(Forwarder):
    """Faults are chosen per request by `fault(method, path)`; `seen` counts what was done."""

    def __init__(self, target: str, hang_s: float = 1.0) -> None:
        super().__init__()
        self.host, self.hang_s = urlsplit(target).netloc, hang_s
        self.fault: Callable[[str, str], str | None] = lambda method, path: None
        self.seen: Counter[str] = Counter()
        self._server.handle_error = lambda *_: None  # clients that are killed hang up

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        """Answers, or fails as `fault` says."""
        kind = self.fault(request.command, request.path)
        self.seen[kind or "passed"] += 1
        request.close_connection = kind is not None
        if kind == "refuse":
            return
        body = read_body(request)
        if kind == "hang":
            time.sleep(self.hang_s)
        elif kind in STATUS:
            request.wfile.write(b"HTTP/1.1 " + STATUS[kind] + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            whole = b"".join(ask_real(self.host, request, body))
            if kind == "cut":
                request.wfile.write(whole[:max(len(whole) // 2, 20)])
            elif kind is None:
                request.wfile.write(whole)
