"""Pictures that lie in buckets, read with the service's own credentials: only what `serve.urls` lists gets here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from inference.daemon_pool import DaemonPool
from inference.fetching.address import Object
from inference.fetching.errors import NotFetched

READERS = 8
CHUNK = 1 << 20


class ObjectReader:
    """Reads objects in threads of its own."""

    def __init__(self) -> None:
        self._pool = DaemonPool(READERS, "objects")

    async def read(self, found: Object, most: int, reserve: Callable[[int], None]) -> bytes:
        """Reads an object of at most `most` bytes; `reserve(size)` before. NotFetched, NotFound, RootError."""
        size, body = await asyncio.wrap_future(self._pool.submit(_open, found))
        try:
            if size > most:
                raise NotFetched(f"{size:,} bytes, more than serve.max_bytes")
            reserve(size)
            return await asyncio.wrap_future(self._pool.submit(_read, body, size))
        finally:
            body.close()


def _open(found: Object) -> tuple[int, Any]:
    from contract.stores.s3 import S3Storage

    return S3Storage(f"s3://{found.bucket}", hurried=True).open_object(found.key)


def _read(body: Any, size: int) -> bytes:
    """Reads `size` bytes; what a body holds beyond its own length is left."""
    data = bytearray()
    try:
        while len(data) < size and (chunk := body.read(min(CHUNK, size - len(data)))):
            data += chunk
    except Exception as error:  # botocore lets through whatever the connection raises
        raise NotFetched(f"{type(error).__name__}: {error}") from None
    if len(data) < size:
        raise NotFetched("the object's bytes ended early")
    return bytes(data)
