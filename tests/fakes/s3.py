"""moto's S3 server, with the one promise of S3 that it lacks: a conditional write is one step.

moto looks for the object and then stores its own, so of two threads that send `If-None-Match: *` for one key at the
same time both can be told that they created it (2 of 1,000 races, measured). S3 decides that in one step; a lock does
so here.
"""

import os
import threading
from typing import Any

_WRITING = threading.RLock()


def make_bucket(name: str, region: str | None = None) -> str:
    """Makes a bucket in a region, that of the environment by default; returns its name."""
    import boto3

    region = region or os.environ["AWS_REGION"]
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    boto3.client("s3", region_name=region).create_bucket(Bucket=name, **where)
    return name


def start_server() -> Any:
    """Starts an S3 API on a free port of this machine; `get_host_and_port()` says which, `stop()` ends it."""
    from moto.s3.responses import S3Response
    from moto.server import ThreadedMotoServer

    if not hasattr(S3Response.put_object, "one_at_a_time"):
        S3Response.put_object = _one_at_a_time(S3Response.put_object)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    return server


def _one_at_a_time(put_object: Any) -> Any:
    def put(self: Any) -> Any:
        with _WRITING:
            return put_object(self)

    put.one_at_a_time = True
    return put
