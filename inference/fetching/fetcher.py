"""Fetches the picture at a URL, within limits of time, bytes and redirects (docs/by-url.md has what it is to withstand).

    fetched = await fetcher.fetch(url, reserve)      # NotFetched; reserve(size) before the bytes are read
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import certifi
import httpcore

from contract.errors import TrueupError, UsageError
from contract.sections.urls import parse_place
from contract.settings import ServeSettings
from inference.daemon_pool import DaemonPool
from inference.fetching.address import Address, Object, follow, is_listed, is_listed_object, parse_url
from inference.fetching.connect import RESOLVERS, CheckedBackend, Resolve, resolve_name
from inference.fetching.errors import NotFetched
from inference.fetching.objects import ObjectReader

Reserve = Callable[[int], None]
REDIRECTS = (301, 302, 303, 307, 308)
# All that is sent. No cookie, no credential, and nothing of the caller's request.
HEADERS = ((b"Accept", b"image/jpeg, image/png, image/webp"), (b"Accept-Encoding", b"identity"), (b"User-Agent", b"trueup"),
           (b"Connection", b"close"))


@dataclass(frozen=True)
class Fetched:
    """A picture's bytes, and where they are from as rows and logs may say it."""

    data: bytes
    source_uri: str


class Fetcher:
    """Fetches what `serve.urls` lists. Lives on one event loop."""

    def __init__(self, serve: ServeSettings, root: str, resolve: Resolve = resolve_name,
                 tls: ssl.SSLContext | None = None) -> None:
        """`root`: of this service; what lies there is never fetched. UsageError: a CA file that cannot be read.

        `tls` None: made by the settings.
        """
        self.serve, self.root = serve, root
        self._places = [parse_place(text) for text in serve.urls]
        self._networks = [ipaddress.ip_network(text) for text in serve.url_networks]
        self._resolve, self._pool = resolve, DaemonPool(RESOLVERS, "resolve")
        self._objects = ObjectReader()
        self._tls = tls or make_tls(serve.url_ca_file)

    async def fetch(self, url: str, reserve: Reserve) -> Fetched:
        """Fetches the picture at a URL; `reserve(size)` is called before its bytes are read, and may refuse.

        NotFetched: whatever else goes wrong, within `serve.url_seconds`.
        """
        found = parse_url(url)
        try:
            async with asyncio.timeout(self.serve.url_seconds):
                data = await (self._fetch_object(found, reserve) if isinstance(found, Object)
                              else self._fetch_over_http(found, reserve))
        except NotFetched as error:
            raise NotFetched(str(error), found.source_uri) from None
        except TimeoutError:
            raise NotFetched(f"not all of it came within {self.serve.url_seconds:g} s", found.source_uri) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError, TrueupError) as error:
            raise NotFetched(f"{type(error).__name__}: {error}", found.source_uri) from None
        return Fetched(data, found.source_uri)

    async def _fetch_object(self, found: Object, reserve: Reserve) -> bytes:
        if not is_listed_object(found, self._places, self.root):
            raise NotFetched("the bucket, or this part of it, is not in serve.urls, or is the root's own")
        return await self._objects.read(found, self.serve.max_bytes, reserve)

    async def _fetch_over_http(self, address: Address, reserve: Reserve) -> bytes:
        for _ in range(self.serve.url_redirects + 1):
            self._check(address)
            answer = await self._ask(address, reserve)
            if isinstance(answer, bytes):
                return answer
            address = answer
        raise NotFetched(f"more than {self.serve.url_redirects} redirects")

    def _check(self, address: Address) -> None:
        if address.scheme == "http" and not self.serve.url_http:
            raise NotFetched("http is taken only with serve.url_http")
        if not is_listed(address, self._places):
            raise NotFetched(f"{address.host}, port {address.port}, is not in serve.urls")

    async def _ask(self, address: Address, reserve: Reserve) -> bytes | Address:
        """Asks once, over a connection of its own; returns the bytes, or where to go on."""
        url = httpcore.URL(scheme=address.scheme.encode(), host=address.host.encode(), port=address.port,
                           target=address.target.encode())
        backend = CheckedBackend(self._resolve, self._pool, self._networks)
        async with httpcore.AsyncHTTPConnection(url.origin, ssl_context=self._tls, http2=False, retries=0,
                                                network_backend=backend) as connection:
            headers = [(b"Host", address.host_header.encode()), *HEADERS]
            response = await connection.handle_async_request(httpcore.Request("GET", url, headers=headers))
            try:
                return await self._read(address, response, reserve)
            finally:
                await response.aclose()

    async def _read(self, address: Address, response: httpcore.Response, reserve: Reserve) -> bytes | Address:
        headers = {name.lower(): value for name, value in response.headers}
        if response.status in REDIRECTS and b"location" in headers:
            return follow(address, headers[b"location"].decode("latin-1"))
        if response.status != 200:
            raise NotFetched(f"status {response.status}")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise NotFetched("the bytes are compressed, although that was not asked for")
        size, most = _read_length(headers.get(b"content-length")), self.serve.max_bytes
        if size is not None and size > most:
            raise NotFetched(f"{size:,} bytes, more than serve.max_bytes")
        reserve(most if size is None else size)
        data = bytearray()
        async for chunk in response.aiter_stream():
            data += chunk
            if len(data) > most:
                raise NotFetched(f"more than {most:,} bytes (serve.max_bytes)")
        return bytes(data)


def _read_length(value: bytes | None) -> int | None:
    return int(value) if value is not None and re.fullmatch(rb"[0-9]{1,18}", value) else None


def make_tls(ca_file: str | None) -> ssl.SSLContext:
    """Makes the TLS of a fetch: certificates and their names are checked. UsageError."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(f"serve.url_ca_file {ca_file!r}: expected a PEM file of certificates, got {error}.") from None
    if ca_file is None:
        context.load_verify_locations(certifi.where())
    return context
