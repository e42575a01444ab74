"""An HTTP proxy in front of moto's server that fails as networks and stores do. moto keeps its objects meanwhile.

    with FaultProxy(moto_server) as proxy:          # proxy.url is the endpoint
        proxy.fault = lambda method, path: "lose"   # or "refuse", "hang", "cut", "error", None
"""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# refuse: closed without reading; hang: no answer for a while, then closed; cut: half of the answer; lose: carried out,
# and no answer; error: 503 without being carried out; broken: 500 likewise.
KINDS = ("refuse", "hang", "cut", "lose", "error", "broken")
STATUS = {"error": b"503 Slow Down", "broken": b"500 Internal Server Error"}
NOT_PASSED_ON = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class FaultProxy:
    """Faults are chosen per request by `fault(method, path)`; `seen` counts what was done."""

    def __init__(self, target: str, hang_s: float = 1.0) -> None:
        self.host, self.hang_s = urlsplit(target).netloc, hang_s
        self.fault: Callable[[str, str], str | None] = lambda method, path: None
        self.seen: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # clients that are killed hang up
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FaultProxy":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            kind = proxy.fault(self.command, self.path)
            proxy.seen[kind or "passed"] += 1
            self.close_connection = kind is not None
            if kind == "refuse":
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if kind == "hang":
                time.sleep(proxy.hang_s)
            elif kind in STATUS:
                self.wfile.write(b"HTTP/1.1 " + STATUS[kind] + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            else:
                self.answer(kind, *forwarded(proxy.host, self.command, self.path, self.headers, body))

        def answer(self, kind: str | None, head: bytes, body: bytes) -> None:
            if kind == "cut":
                whole = head + body
                self.wfile.write(whole[:max(len(whole) // 2, 20)])
            elif kind is None:
                self.wfile.write(head + body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = pass_on

        def log_message(self, *_: object) -> None:
            """Nothing: the counts tell."""

    return Handler


def forwarded(host: str, method: str, path: str, headers, body: bytes) -> tuple[bytes, bytes]:
    """Status line with headers, and body, of the real server's answer."""
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path, body or None, {k: v for k, v in headers.items() if k.lower() != "expect"})
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    length = answer.headers.get("Content-Length", "0") if method == "HEAD" else str(len(data))
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}", f"Content-Length: {length}"]
    lines += [f"{k}: {v}" for k, v in answer.getheaders() if k.lower() not in NOT_PASSED_ON]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), data
