"""moto's server behind what AWS does to a request that was signed for another region than its bucket's: 301, and no more.

The answer names the bucket's region in x-amz-bucket-region. boto3 asks again there; Arrow and s3a give up.
"""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.fakes.fault_proxy import forwarded

SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request")
MOVED = (b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>PermanentRedirect</Code><Message>The bucket you are attempting to "
         b"access must be addressed using the specified endpoint.</Message></Error>")


class RegionalS3:
    """An S3 whose buckets all lie in one region; `refused` lists the regions that requests were wrongly signed for."""

    def __init__(self, target: str, region: str) -> None:
        self.host, self.region, self.refused, self.served = urlsplit(target).netloc, region, [], 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "RegionalS3":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, headers, body: bytes) -> tuple[bytes, bytes]:
        """Head and body of the answer."""
        signed = SCOPE.search(headers.get("Authorization", ""))
        if signed and signed[1] != self.region:
            self.refused.append(signed[1])
            head = (f"HTTP/1.1 301 Moved Permanently\r\nx-amz-bucket-region: {self.region}\r\nContent-Type: application/xml\r\n"
                    f"Content-Length: {0 if method == 'HEAD' else len(MOVED)}\r\n\r\n")
            return head.encode(), b"" if method == "HEAD" else MOVED
        self.served += 1
        return forwarded(self.host, method, path, headers, body)


def _handler(store: RegionalS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.wfile.write(b"".join(store.answer(self.command, self.path, self.headers, body)))

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = pass_on

        def log_message(self, *_: object) -> None:
            """Nothing: `refused` and `served` tell."""

    return Handler
