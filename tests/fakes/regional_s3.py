"""moto's server behind what AWS does to a request that was signed for another region than its bucket's: 301, and no more.

The answer names the bucket's region in x-amz-bucket-region. boto3 asks again there; Arrow and s3a give up.
"""

import re
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.fakes.forwarding import Forwarder, ask_real, read_body

SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request")
MOVED = (b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>PermanentRedirect</Code><Message>The bucket you are attempting to "
         b"access must be addressed using the specified endpoint.</Message></Error>")


class RegionalS3(Forwarder):
    """An S3 whose buckets all lie in one region; `refused` lists the regions that requests were wrongly signed for."""

    def __init__(self, target: str, region: str) -> None:
        super().__init__()
        self.host, self.region, self.refused, self.served = urlsplit(target).netloc, region, [], 0

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        """Refuses a request that was signed for another region; passes on all others."""
        body = read_body(request)
        signed = SCOPE.search(request.headers.get("Authorization", ""))
        if signed and signed[1] != self.region:
            self.refused.append(signed[1])
            moved = b"" if request.command == "HEAD" else MOVED
            head = (f"HTTP/1.1 301 Moved Permanently\r\nx-amz-bucket-region: {self.region}\r\nContent-Type: application/xml\r\n"
                    f"Content-Length: {len(moved)}\r\n\r\n")
            request.wfile.write(head.encode() + moved)
            return
        self.served += 1
        request.wfile.write(b"".join(ask_real(self.host, request, body)))
