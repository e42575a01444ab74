"""The part of `serve:` that says which pictures the service fetches itself (`POST /v1/predictions` with a URL)."""

import ipaddress
import re
from typing import NamedTuple

from pydantic import Field, field_validator

from contract.policy import Limited

LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
HOST = re.compile(rf"(?P<any>\*\.)?(?P<host>{LABEL}(\.{LABEL})*|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{{1,5}}))?")
BUCKET_NAME = "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"  # of S3, as a pattern
BUCKET = re.compile(rf"s3://(?P<bucket>{BUCKET_NAME})(/(?P<prefix>\S*))?")


class Place(NamedTuple):
    """One entry of `serve.urls`: a host (`any`: every name below it) and its port, None for the scheme's own."""

    host: str
    any: bool
    port: int | None


class Bucket(NamedTuple):
    """One entry of `serve.urls` that begins with s3://: what of a bucket may be read, by the beginning of its keys."""

    name: str
    prefix: str


def parse_place(text: str) -> Place | Bucket:
    """Parses an entry of `serve.urls`. ValueError."""
    if found := BUCKET.fullmatch(text):
        return Bucket(found["bucket"], found["prefix"] or "")
    found = HOST.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if not found or (port is not None and not 1 <= port <= 65535):
        raise ValueError(f"{text!r}: expected a host in small letters (pictures.example.org), the names below one "
                         f"(*.example.org), either with a port (:8443), or s3://bucket/prefix. Names in other letters as "
                         f"xn--…")
    if found["any"] and "." not in found["host"]:
        raise ValueError(f"{text!r}: expected a domain below the top one, such as *.example.org: {text} is almost everybody's")
    host = str(ipaddress.ip_address(found["host"][1:-1])) if found["host"].startswith("[") else found["host"]
    return Place(host, bool(found["any"]), port)


class UrlSettings(Limited):
    """Prediction by URL; off while `urls` is empty."""

    urls: list[str] = Field([], description="hosts (pictures.example.org, *.example.org, host:port) and s3://bucket/prefix whose "
                            "pictures callers may name by URL; none: only bytes are taken (docs/by-url.md)")
    url_http: bool = Field(False, description="take http:// URLs, too, which whoever is on the way reads and changes")
    url_networks: list[str] = Field([], description="addresses and networks (10.1.0.0/16) that hosts of serve.urls may have "
                                    "although they are not public")
    url_redirects: int = Field(3, ge=0, le=20, description="redirects that are followed, each checked as the first URL is")
    url_seconds: float = Field(10.0, gt=0, description="for all of a fetch: names, redirects, bytes")
    url_ca_file: str | None = Field(None, description="PEM file of the certificate authorities that are believed; null: those of "
                                    "this machine and of certifi")

    @field_validator("urls")
    @classmethod
    def _urls_are_places(cls, value: list[str]) -> list[str]:
        for text in value:
            parse_place(text)
        return value

    @field_validator("url_networks")
    @classmethod
    def _networks_are_networks(cls, value: list[str]) -> list[str]:
        for text in value:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(f"{text!r}: expected an address or a network such as 10.1.0.0/16: {error}") from None
        return value
