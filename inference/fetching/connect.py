"""Connections to addresses that were checked: a name is resolved once, and the very address that was checked is connected to.

The name stays what TLS asks for and checks (SNI, certificate), and what the header Host says.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from inference.daemon_pool import DaemonPool
from inference.fetching.errors import NotFetched
from inference.fetching.networks import Ip, Network, may_be_asked

Resolve = Callable[[str, int], list[str]]  # host and port -> addresses
RESOLVERS = 8


def resolve_name(host: str, port: int) -> list[str]:
    """Asks the system's resolver for the addresses of a host, in its order. OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """httpcore's way to the network, for one HTTP connection."""

    def __init__(self, resolve: Resolve, pool: DaemonPool, listed: Sequence[Network]) -> None:
        """`resolve` runs in the `pool`; `listed`: networks that count as public."""
        self._resolve, self._pool, self._listed = resolve, pool, listed
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
                          socket_options: Iterable[Any] | None = None) -> httpcore.AsyncNetworkStream:
        """Connects to the first address of the host that answers, once all were checked. NotFetched, httpcore's errors."""
        addresses = await self._find_addresses(host, port)
        for ip in addresses:
            try:
                return await self._inner.connect_tcp(str(ip), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise NotFetched(f"no connection: {type(last).__name__}: {last}")

    async def _find_addresses(self, host: str, port: int) -> list[Ip]:
        try:
            found = await asyncio.wrap_future(self._pool.submit(self._resolve, host, port))
        except (OSError, UnicodeError) as error:
            raise NotFetched(f"the name does not resolve: {error}") from None
        addresses = [ipaddress.ip_address(text) for text in dict.fromkeys(found)]
        if not addresses:
            raise NotFetched("the name has no address")
        for ip in addresses:  # all of them: a name with public and other addresses is an attempt at DNS rebinding
            if not may_be_asked(ip, self._listed):
                raise NotFetched(f"{ip} is not public, and in none of serve.url_networks")
        return addresses

    async def connect_unix_socket(self, path: str, timeout: float | None = None,
                                  socket_options: Iterable[Any] | None = None) -> httpcore.AsyncNetworkStream:
        """Refuses: pictures come over the network alone. NotFetched."""
        raise NotFetched("a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """Waits between attempts; httpcore asks for it, and a fetch has one attempt."""
        await asyncio.sleep(seconds)
