"""A load balancer in front of replicas: each request goes to the next one, whoever sent it.

    with Balancer([url_of_one, url_of_two]) as balancer:  ...  httpx.get(balancer.url)
"""

import itertools
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.fakes.forwarding import Forwarder, ask_real, read_body


class Balancer(Forwarder):
    """Round robin without any memory of callers."""

    def __init__(self, targets: Sequence[str]) -> None:
        super().__init__()
        self._turns = itertools.cycle([urlsplit(target).netloc for target in targets])

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        """Asks the replica whose turn it is."""
        request.wfile.write(b"".join(ask_real(next(self._turns), request, read_body(request))))
