"""Requests that could break a route, made from the application's own routes and from its source: a new route needs no entry here.

Paths and methods come from the router. Names of query parameters, headers and form fields come from where the code reads
them and from the templates, so that a new one is tried, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from contract.texts.pictures_link import FILTERS
from inference.api import ONE_LABEL

SOURCE = Path(__file__).parents[2] / "inference"
FORM, JSON = b"application/x-www-form-urlencoded", b"application/json"
# As they stand in a URL or a form.
TEXTS = (
    b"", b"%00", b"..%2F..%2Fkeys", b"%2E%2E", b".", b"%FF%FE", b"%ED%A0%80", b"a" * 3000, b"%F0%9F%98%80" * 300, b"1e9",
    b"-1", b"0", b"NaN", b"%D9%A3", b"%C2%B2", b"9" * 40, b"9" * 5000, b"2026-02-30", b"0001-01-01", b"2026-W47-5",
    b"%E2%80%AEx", b"[", b"%7B%7B7*7%7D%7D", b"%0D%0AX-A:%201", b"//%5B", b"http://%5B", b"json",
    b"a%20" * 200 + b"%CC%81" * 500)
HEADERS = (
    b"", b"\xff\xfe", b"\xb2", b"9" * 5000, b"-1", b"1e9", b"[", b"http://[", b"http://\xe2\x84\x80/", b"a" * 8000, b"Bearer",
    b"Bearer \xff.\xff", b"bearer ada-000000.\xb2", b"Basic Og==", b"multipart/form-data", b"multipart/form-data; boundary=x",
    b"multipart/form-data; boundary=x; charset=idna", b"multipart/form-data; boundary=x; charset=unicode_escape",
    b"application/json; charset=utf-16", b"text/html", b"trueup_session=\xff", b"trueup_session=a.b; trueup_name=%ED%A0%80",
    b"trueup_name=" + b"%CC%81" * 900, b'{"a": 1e999}', b'{"a": NaN}', b'{"a": "\\ud800"}', b'{"a": {}}', b'{"a":1,"a":2}',
    b"[" * 3000, b'{"' + b"a" * 70 + b'": 1}', b'{"\\u0000": "\\u0000"}', b"01a1f8d3-ea00-7108-909a-007e5c57f9ce",
    b"ffffffff-ffff-7fff-bfff-ffffffffffff", b"bytes=0-1,5-3,x", b"W/\"", b"Thu, 99 Foo")
VALUES = (
    "null", "true", "-0", "1e308", "1e999", "-Infinity", "NaN", "1" * 4000, "1" * 5000, '""', '"\\ud800"', '"\\udc00x"',
    '"\\u0000"', '"a\\u202eb"', '"' + "x" * 5000 + '"', "[" * 900 + "]" * 900, "{}", "[[]]", '{"a": {"b": [null]}}',
    '"../../keys"', '"2026-02-30"', '"999999999"', '"²"', '"01a1f8d3-ea00-7108-909a-007e5c57f9ce"',
    '[{"prediction_id": "x", "label": "\\ud800"}]', '[{"prediction_id": "\\ud800", "label": 1e308}]',
    '[{"prediction_id": 1}]', '[{"prediction_id": "x", "label": [[]], "wrong": true}]',
    '[{"prediction_id": "x", "wrong": "\\ud800"}]')
BODIES = (
    b"", b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 20_000, b"NaN", b"null", b"[]", b"0", b'"\\ud800"',
    b"\xed\xa0\x80", b'"\xed\xa0\x80"', '{"label": "a"}'.encode("utf-16"), b'{"label": "a", "label": "b"}', b"[1e999]",
    b'{"labels": []}', b'{"labels": [null]}', b'{"labels": {"a": 1}}', b"9" * 6000, b'{"answers": [NaN]}', b"x" * 200_000,
    b'["' + b"x" * 200_000, b"[" + b"0," * 60_000 + b"0]")
PARTS = ((b"image", b"", b"a"), (b"image", b'; filename="a"', b"a"), (b"\xff\xb2", b"", b"\xff"), (b"\\ud800", b"", b"\\ud800"),
         (b"key", b"; filename*=utf-16''%ff", b"\\ud800"))
MULTIPARTS = tuple(b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n--x--\r\n' % part for part in PARTS)


class Case(NamedTuple):
    """One request, without who sends it."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {self.target[:200]!r} {[(n, v[:60]) for n, v in self.headers]} {self.body[:100]!r}"


def find_names(pattern: str, folder: str = ".", ending: str = "*.py") -> list[bytes]:
    """Names that the source reads, in the order of the alphabet."""
    texts = "\n".join(path.read_text() for path in sorted((SOURCE / folder).rglob(ending)))
    return sorted({name.encode() for name in re.findall(pattern, texts)})


QUERIES = sorted({*find_names(r'query_params(?:\.get\(|\[)"(\w+)"'), *find_names(r'"(\w+)" in request\.query_params'),
                  *(name.encode() for name in FILTERS), b"attribute.camera", b"sort", b"after", b"similar"})
FIELDS = sorted({*find_names(r'name="(\w+)"', "pages/templates", "*.html"), *find_names(r'(?:form|fields)\.get\("(\w+)"')})
HEADER_NAMES = sorted({*find_names(r'headers(?:\.get\(|\[)"([\w-]+)"'), *find_names(r'_header\(request, "([\w-]+)"\)'),
                       b"x-prediction-id", b"cookie", b"authorization", b"content-type", b"content-length", b"accept", b"range",
                       b"if-none-match", b"if-modified-since", b"host", b"x-forwarded-for", b"x-forwarded-proto"})
DOCUMENT_NAMES = sorted({*ONE_LABEL["properties"], "labels", *(name.decode() for name in find_names(r'document\.get\("(\w+)"'))})


def flatten(routes) -> Iterator[object]:
    """All routes, those of routers that were included, too."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        elif route.include_context.prefix:
            raise TypeError(f"expected routers without a prefix, got {route!r}: teach this file to put it before the paths")
        else:
            yield from flatten(included.routes)


def list_routes(routes) -> list[tuple[str, str]]:
    """(method, path) of all that an application answers; a mount with whatever lies below it."""
    found = []
    for route in flatten(routes):
        if isinstance(route, Mount):
            found.append(("GET", f"{route.path}/{{below}}"))
        elif isinstance(route, APIRoute | Route):
            found += [(method, route.path) for method in sorted(route.methods or ())]
        else:
            raise TypeError(f"expected a route or a mount, got {route!r}: teach this file to make requests for it")
    return found


def fill(path: str, value: str) -> bytes:
    """The path of a route with a value for each of its parameters."""
    return re.sub(r"\{[^}]*\}", value, path).encode()


def list_parameters(app, path: str) -> list[bytes]:
    """Names of query parameters that a route declares."""
    found = (route for route in flatten(app.routes) if isinstance(route, APIRoute) and route.path == path)
    return [parameter.alias.encode() for route in found for parameter in route.dependant.query_params]


def make_cases(app, method: str, path: str) -> Iterator[Case]:
    """Yields the requests for one route: in every place every value, one place at a time, and all places at once."""
    plain = fill(path, "x")
    yield Case(method, plain)
    for text in TEXTS:
        if "{" in path:
            for part in re.findall(r"\{[^}]*\}", path):
                yield Case(method, fill(path.replace(part, text.decode() or "x"), "x"))
        names = [*QUERIES, *list_parameters(app, path)]
        for name in names:
            yield Case(method, plain + b"?" + name + b"=" + text)
        yield Case(method, plain + b"?" + b"&".join(name + b"=" + text for name in names if len(text) < 500))
    for name in HEADER_NAMES:
        for value in HEADERS:
            yield Case(method, plain, ((name, value),))
    if method == "POST":
        yield from _make_bodies(plain)


def _make_bodies(path: bytes) -> Iterator[Case]:
    for text in TEXTS:
        for name in FIELDS:
            yield Case("POST", path, ((b"content-type", FORM),), b"day=2026-11-20&batch=1&" + name + b"=" + text)
        yield Case("POST", path, ((b"content-type", FORM),), b"&".join(name + b"=" + text for name in FIELDS))
    for body in (b"&" * 5000, b"=" * 5000, b"a=1&" * 2000, b"\xff=\xff", b"a"):
        yield Case("POST", path, ((b"content-type", FORM),), body)
    for body in BODIES:
        for kind in (JSON, b"image/jpeg", b"", FORM):
            yield Case("POST", path, ((b"content-type", kind),), body)
    for name in DOCUMENT_NAMES:
        for value in VALUES:
            rest = "".join(f'"{n}": {v}, ' for n, v in (("day", '"2026-11-20"'), ("batch", "1"), ("label", '"a"')) if n != name)
            yield Case("POST", path, ((b"content-type", JSON),), f'{{{rest}"{name}": {value}}}'.encode())
    for body in MULTIPARTS:
        for charset in (b"", b"; charset=idna", b"; charset=unicode_escape", b"; charset=undefined", b"; charset=\xff"):
            yield Case("POST", path, ((b"content-type", b"multipart/form-data; boundary=x" + charset),), body)
