"""moto's S3 with every request written down as IAM sees it; and a small simulator of IAM policies."""

import re
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import parse_qs, unquote

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.server import ThreadedMotoServer
from werkzeug.serving import make_server


@dataclass(frozen=True)
class Asked:
    """One request: the action that IAM checks, the resource, and for listings the prefix."""

    action: str
    resource: str
    prefix: str | None = None


@dataclass
class Recorder(ThreadedMotoServer):
    """A server that writes down what it is asked."""

    asked: set[Asked] = field(default_factory=set)

    def __post_init__(self):
        super().__init__("127.0.0.1", 0, verbose=False)
        self.lock = Lock()

    def _server_entry(self):
        app = DomainDispatcherApplication(create_backend_app)

        def recording(environ, start):
            def started(status, headers, *more):
                with self.lock:
                    self.asked |= set(asked(environ, status))
                return start(status, headers, *more)

            return app(environ, started)

        self._server = make_server(self._ip_address, self._port, recording, True, request_handler=MotoRequestHandler)
        self._server_ready_event.set()
        self._server.serve_forever()


def asked(environ, status="200"):
    """IAM's view of an S3 request (S3 User Guide, "Required permissions for S3 API operations")."""
    method, query = environ["REQUEST_METHOD"], parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    bucket, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
    if not key:
        if method in ("GET", "HEAD"):
            yield Asked("s3:ListBucket", f"arn:aws:s3:::{bucket}", query.get("prefix", [None])[0])
        elif method == "POST" and "delete" in query:
            yield Asked("s3:DeleteObject", f"arn:aws:s3:::{bucket}/?")
        return
    action = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject",
              "DELETE": "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject"}[method]
    yield Asked(action, f"arn:aws:s3:::{bucket}/{key}")
    if status.startswith("404") and method in ("GET", "HEAD"):  # S3 says 403 to whoever may not list
        yield Asked("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    if "HTTP_IF_NONE_MATCH" in environ:  # after a lost response an exclusive creation reads back
        yield Asked("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")


def matches(pattern, text):
    """IAM's wildcards: `*` is anything, slashes too."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) is not None


def allowing(statements, request):
    """The (statement, resource) pairs that allow a request; none: it is denied."""
    return [(s["Sid"], resource) for s in statements for resource in s["Resource"]
            if request.action in s["Action"] and matches(resource, request.resource) and _condition(s, request)]


def _condition(statement, request):
    wanted = statement.get("Condition", {}).get("StringLikeIfExists", {}).get("s3:prefix")
    return not wanted or request.prefix is None or any(matches(w, request.prefix) for w in wanted)
