"""What fakes in front of a real HTTP server share: a server on a free port, and passing a request on.

    with FaultProxy(moto_server) as proxy:  ...  httpx.get(proxy.url)
"""

import http.client
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

NOT_PASSED_ON = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Forwarder(ABC):
    """A context in which a server answers at `url`: each request by `pass_on`, in a thread of its own."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @abstractmethod
    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        """Answers a request whose head was read."""


def _make_handler(forwarder: Forwarder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            forwarder.pass_on(self)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = pass_on

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    """The body of a request that says its length."""
    return request.rfile.read(int(request.headers.get("Content-Length") or 0))


def ask_real(host: str, request: BaseHTTPRequestHandler, body: bytes) -> tuple[bytes, bytes]:
    """Status line with headers, and body, of the real server's answer."""
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "expect"}
        connection.request(request.command, request.path, body or None, headers)
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    length = answer.headers.get("Content-Length", "0") if request.command == "HEAD" else str(len(data))
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in answer.getheaders() if name.lower() not in NOT_PASSED_ON]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), data
