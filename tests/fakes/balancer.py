"""A load balancer in front of replicas: each request goes to the next one, whoever sent it.

    with Balancer([url_of_one, url_of_two]) as balancer:  ...  httpx.get(balancer.url)
"""

import itertools
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.fakes.fault_proxy import forwarded


class Balancer:
    """Round robin without any memory of callers."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._turns = itertools.cycle([urlsplit(target).netloc for target in targets])
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._turns))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Balancer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(turns) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.wfile.write(b"".join(forwarded(next(turns), self.command, self.path, self.headers, body)))

        do_GET = do_POST = pass_on

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler
