"""S3, or any store with its API, through boto3. Endpoint and credentials come from the standard AWS variables.
The region is that of contract/stores/aws_region.py; where a reader does not follow S3 to the bucket's own, `find_region`.

`create` sends `If-None-Match: *`. Its retries are our own: after a lost response the object may be ours already, so a
412 that follows an uncertain attempt is read back and compared before it counts as lost.
"""

from __future__ import annotations

import builtins
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import AlreadyExists, NoConditionalWrites, NotFound, RootError, UsageError
from contract.stores.aws_region import endpoint, get_session, need_s3_region
from contract.stores.store import Entry

if TYPE_CHECKING:
    from pyarrow import fs

ATTEMPTS = 6
ERASING = {"UploadId": "abort_multipart_upload", "VersionId": "delete_object"}
MISSING = {"NoSuchKey", "404", "NotFound"}


class S3Storage:
    """Objects under one prefix of one bucket."""

    def __init__(self, root: str, hurried: bool = False) -> None:
        """`hurried`, for readers: gives up after seconds, where work that has time tries for minutes."""
        bucket, _, prefix = root.removeprefix("s3://").partition("/")
        if not re.fullmatch(r"[A-Za-z0-9._:-]{1,255}", bucket):
            what = f"the bucket {bucket!r}" if bucket else "no bucket"
            raise UsageError(f"root {root!r}: expected s3://bucket/prefix, got {what}.")
        self.bucket, self.prefix = bucket, prefix.strip("/") + "/" if prefix.strip("/") else ""
        self.root = f"s3://{bucket}/{self.prefix}".rstrip("/")
        self._attempts, self._connect_s, self._read_s = (1, 1, 2) if hurried else (ATTEMPTS, 5, 60)
        self._client: Any = None
        self._region: str | None = None

    @property
    def client(self) -> Any:
        """The boto3 client, made on first use; path style when an endpoint is set."""
        if self._client is None:
            self._client = _client(self._attempts, self._read_s, self._connect_s)
        return self._client

    def read(self, key: str) -> bytes:
        from botocore.exceptions import BotoCoreError

        for attempt in range(self._attempts):
            try:
                return self._call("get_object", key)["Body"].read()
            except BotoCoreError as error:  # cut in the middle of the body, which botocore does not ask for again
                last = error
                _wait_after(attempt, self._attempts)
        raise RootError(f"{self.uri(key)}: gave up after {self._attempts} attempts: {last}. Check the endpoint and network.")

    def open_object(self, key: str) -> tuple[int, Any]:
        """Opens an object: its size in bytes, and a stream to read and close. NotFound, RootError; the stream, botocore's."""
        answer = self._call("get_object", key)
        return answer["ContentLength"], answer["Body"]

    def exists(self, key: str) -> bool:
        try:
            self._call("head_object", key)
            return True
        except NotFound:
            return False

    def list(self, prefix: str = "") -> Iterator[Entry]:
        for page in self.list_pages("list_objects_v2", prefix):
            for item in page.get("Contents", ()):
                key = item["Key"][len(self.prefix):]
                if not key.endswith("/"):  # markers that consoles make for "folders"
                    yield Entry(key, item["Size"], item["ETag"].strip('"'))

    def folders(self, prefix: str) -> builtins.list[str]:
        full = self.prefix + prefix
        pages = self.list_pages("list_objects_v2", prefix, Delimiter="/")
        found = [item["Prefix"][len(full):].rstrip("/") for page in pages for item in page.get("CommonPrefixes", ())]
        return sorted(found)

    def create(self, key: str, data: bytes) -> None:
        uncertain = False
        for attempt in range(ATTEMPTS):
            try:
                return self._create_once(key, data)
            except AlreadyExists:
                if uncertain and self.read(key) == data:
                    return None
                raise
            except _Uncertain as error:
                uncertain, last = True, error
                _wait_after(attempt, ATTEMPTS)
        raise RootError(f"{self.uri(key)}: gave up after {ATTEMPTS} attempts: {last}. Check the endpoint and network.")

    def _create_once(self, key: str, data: bytes) -> None:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            self._single.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data, IfNoneMatch="*")
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 412:
                raise AlreadyExists(f"{self.uri(key)} exists already.") from None
            if status == 501:
                raise NoConditionalWrites(f"{self.root}: the store answers 'not implemented' to If-None-Match. Use one that "
                                          f"honours conditional writes.") from error
            if status in (409, 429) or status >= 500:  # 409: a concurrent create is still undecided
                raise _Uncertain(str(error)) from error
            raise self._translate(error, key) from error
        except (HTTPClientError, BotoCoreError) as error:
            raise _Uncertain(str(error)) from error

    @property
    def _single(self) -> Any:
        """A client that never retries by itself: botocore's own retry would hide a lost response from `create`."""
        if not hasattr(self, "_single_client"):
            self._single_client = _client(1, read_timeout=30, connect_timeout=5)
        return self._single_client

    def put(self, key: str, data: bytes) -> None:
        self._call("put_object", key, Body=data)

    def put_file(self, key: str, path: Path) -> None:
        with self.explain_errors(key):
            self.client.upload_file(str(path), self.bucket, self.prefix + key)

    def delete(self, key: str) -> None:
        self._call("delete_object", key)

    def erase(self, key: str) -> None:
        for verb, listed, name in (("list_multipart_uploads", ("Uploads",), "UploadId"),
                                   ("list_object_versions", ("Versions", "DeleteMarkers"), "VersionId")):
            for page in self.list_pages(verb, key):
                for item in (i for kind in listed for i in page.get(kind, ())):
                    found = item["Key"].removeprefix(self.prefix)
                    if found == key or key.endswith("/"):
                        self._call(ERASING[name], found, **{name: item[name]})

    def now(self) -> float:
        date = self._head_bucket()["ResponseMetadata"]["HTTPHeaders"].get("date")
        if not date:
            raise RootError(f"{self.root}: expected an answer with the header Date, got one without.")
        return parsedate_to_datetime(date).timestamp()

    def _head_bucket(self) -> Any:
        """The answer to HeadBucket; a refusal has headers, too."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self.client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            return error.response
        except BotoCoreError as error:
            raise RootError(f"{self.root}: {error}. Check AWS_ENDPOINT_URL, region, credentials, network.") from error

    def find_region(self) -> str:
        """Finds the bucket's own region, which S3 says in every answer to HeadBucket, a redirect or a refusal too; that of
        requests where the store says none. boto3 follows a redirect to another region, Arrow and s3a do not."""
        if self._region is None:
            here = endpoint(), self.bucket
            if here in _TOLD:
                return _TOLD[here]
            answer = self._head_bucket()
            told = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
            if told:
                _TOLD[here] = told
            self._region = told or need_s3_region()
        return self._region

    def uri(self, key: str = "") -> str:
        return f"{self.root}/{key}" if key else self.root

    def arrow(self) -> tuple[fs.FileSystem, str]:
        from pyarrow import fs

        where = endpoint()
        options = {"endpoint_override": where.split("://", 1)[1], "scheme": where.split("://", 1)[0]} if where else {}
        return fs.S3FileSystem(region=self.find_region(), **options), f"{self.bucket}/{self.prefix}".rstrip("/")

    def list_pages(self, verb: str, prefix: str, **arguments: str) -> Iterator[dict]:
        """Yields the pages of a listing of the bucket, of the keys below the root that begin with `prefix`. RootError."""
        with self.explain_errors(prefix):
            yield from self.client.get_paginator(verb).paginate(Bucket=self.bucket, Prefix=self.prefix + prefix, **arguments)

    def _call(self, verb: str, key: str, **arguments: Any) -> Any:
        with self.explain_errors(key):
            return getattr(self.client, verb)(Bucket=self.bucket, Key=self.prefix + key, **arguments)

    @contextmanager
    def explain_errors(self, key: str = "") -> Iterator[None]:
        """Raises the errors of the SDK as a store's: NotFound, or a RootError that names the object."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            raise self._translate(error, key) from error
        except (BotoCoreError, Boto3Error) as error:
            raise RootError(f"{self.uri(key)}: {error}. Check AWS_ENDPOINT_URL, region, credentials, network.") from error

    def _translate(self, error: Any, key: str) -> Exception:
        code = error.response.get("Error", {}).get("Code", "")
        if code in MISSING:
            return NotFound(f"{self.uri(key)}: no such object.")
        return RootError(f"{self.uri(key)}: the store answered {code or error}. Check the bucket's name and the rights.")


class _Uncertain(Exception):
    """The request may or may not have been carried out."""


_TOLD: dict[tuple[str | None, str], str] = {}  # (endpoint, bucket) -> its region, which never changes
_MAKING = threading.Lock()  # making a client of a session that threads share is not thread-safe


def _wait_after(attempt: int, attempts: int) -> None:
    """Waits before the next attempt; not after the last one."""
    if attempt < attempts - 1:
        time.sleep(min(0.1 * 2**attempt, 2))


def _client(attempts: int, read_timeout: int, connect_timeout: int) -> Any:
    """A client that tries so often; path style when an endpoint is set."""
    from botocore.config import Config

    style = {"addressing_style": "path"} if endpoint() else {}
    config = Config(s3=style, retries={"mode": "standard", "total_max_attempts": attempts},
                    connect_timeout=connect_timeout, read_timeout=read_timeout)
    session, region = get_session(), need_s3_region()
    with _MAKING:
        return session.client("s3", endpoint_url=endpoint(), region_name=region, config=config)
