"""A URL is taken apart by one strict grammar, and what is asked of the network is made of its parts.

So no other parser reads the text again, and two of them cannot disagree about which host it names. What browsers and
libraries read in several ways is refused: userinfo, backslashes, escapes in the host, numbers that are not four decimal ones.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin

import idna

from contract.sections.urls import BUCKET_NAME, Bucket, Place
from inference.fetching.errors import NotFetched

LONGEST = 8192
PORTS = {"http": 80, "https": 443}
URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(#.*)?")
AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@%\\]+)(:(?P<port>[0-9]{1,5}))?")
# A last label of digits or hexadecimal digits is read as an address by some, as a name by none.
NUMBER = re.compile(r"([0-9]+|0x[0-9a-f]*)", re.IGNORECASE)
SAFE = "/:@!$&'()*+,;=-._~%"  # of a path and a query; other letters are escaped


@dataclass(frozen=True)
class Address:
    """Where a picture lies: scheme, host in ASCII (an IPv6 address without brackets), port, and path with query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        """The header Host: with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def source_uri(self) -> str:
        """What is kept and logged: without the query, which in a presigned address is a credential."""
        return f"{self.scheme}://{self.host_header}{self.target.partition('?')[0]}"


@dataclass(frozen=True)
class Object:
    """A picture in a bucket."""

    bucket: str
    key: str

    @property
    def source_uri(self) -> str:
        """What is kept and logged."""
        return f"s3://{self.bucket}/{self.key}"


def parse_url(text: str) -> Address | Object:
    """Parses an absolute URL. NotFetched when it is none, or one that could be read in two ways."""
    if len(text) > LONGEST or not text.isprintable() or any(c in text for c in ' \\"<>^`{|}'):
        raise NotFetched(f"expected a URL of at most {LONGEST} printable characters without spaces and backslashes")
    found = URL.fullmatch(text)
    if not found:
        raise NotFetched("expected scheme://host/path")
    scheme = found["scheme"].lower()
    if scheme == "s3":
        return _parse_object(found)
    if scheme not in PORTS:
        raise NotFetched("expected https://, http:// or s3://")
    where = AUTHORITY.fullmatch(found["authority"])
    if not where:
        raise NotFetched("expected host or host:port after the scheme, no user, password or escapes")
    port = int(where["port"]) if where["port"] else PORTS[scheme]
    if not 1 <= port <= 65535:
        raise NotFetched("expected a port from 1 to 65535")
    target = quote((found["path"] or "/"), safe=SAFE) + quote(found["query"] or "", safe=SAFE + "?")
    return Address(scheme, parse_host(where["host"]), port, target)


def _parse_object(found: re.Match[str]) -> Object:
    bucket, key = found["authority"], (found["path"] or "/")[1:]
    if found["query"] or not re.fullmatch(BUCKET_NAME, bucket) or {"", ".", ".."} & set(key.split("/")):
        raise NotFetched("expected s3://bucket/key, without parts of the key that are empty or dots")
    return Object(bucket, key)


def parse_host(text: str) -> str:
    """Returns a host as it is compared, asked for and connected to: an address in its one form, or a name in ASCII.

    NotFetched: neither, or an address in another form than four decimal numbers (127.1, 0x7f000001, 2130706433, 017700000001).
    """
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise NotFetched("expected an IPv6 address between brackets") from None
    try:
        name = idna.encode(text.removesuffix("."), uts46=True, std3_rules=False).decode().lower()
    except (idna.IDNAError, UnicodeError):
        name = text.removesuffix(".").lower()
    if NUMBER.fullmatch(name.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise NotFetched("expected an IPv4 address as four decimal numbers") from None
    if not re.fullmatch(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", name):
        raise NotFetched("expected the name of a host")
    return name


def follow(base: Address, location: str) -> Address:
    """Returns where a redirect leads. NotFetched: to no URL, or out of HTTP."""
    try:
        there = parse_url(urljoin(f"{base.scheme}://{base.host_header}{base.target}", location))
    except ValueError:  # urljoin, of brackets that hold no address
        raise NotFetched("a redirect to what is no URL") from None
    if isinstance(there, Object):
        raise NotFetched("a redirect to another scheme")
    return there


def is_listed(address: Address, places: list[Place | Bucket]) -> bool:
    """Says whether `serve.urls` has the host, with its port."""
    return any(isinstance(place, Place) and _is_of(address, place) for place in places)


def _is_of(address: Address, place: Place) -> bool:
    port = PORTS[address.scheme] if place.port is None else place.port
    named = address.host.endswith(f".{place.host}") if place.any else address.host == place.host
    return named and address.port == port


def is_listed_object(found: Object, places: list[Place | Bucket], root: str) -> bool:
    """Says whether `serve.urls` has the bucket and the beginning of the key, and the object is none of the root's own."""
    if f"{found.source_uri}/".startswith(f"{root.rstrip('/')}/"):
        return False
    return any(isinstance(place, Bucket) and place.name == found.bucket and _is_below(found.key, place.prefix)
               for place in places)


def _is_below(key: str, prefix: str) -> bool:
    return not prefix or key.startswith(f"{prefix.rstrip('/')}/")
