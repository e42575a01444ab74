"""Reads what a request brings, without ever holding more than is allowed: image bytes, JSON, header values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from contract import jsonio
from contract.errors import shorten
from inference.auth import FORM, Refused, parse_length

# Room for the boundary and the headers of a multipart body beside the image itself.
MULTIPART_ROOM = 1 << 16
MOST_JSON = 16 << 20
MOST_URL_BODY = 64 << 10  # bytes of a body that names a URL
JSON = "application/json"
# A larger body takes milliseconds to parse: not on the event loop, on which other requests wait.
PARSED_ASIDE = 64 << 10
# Parsing holds the interpreter, and an array of three bytes of text takes some sixty of memory: no body of labels has as many.
MOST_VALUES = 2_000_000
MOST_ATTRIBUTES, LONGEST_NAME, LONGEST_VALUE, LONGEST_REQUEST_ID = 32, 64, 200, 200


def read_announced_size(request: Request, max_bytes: int) -> int:
    """Reads how many bytes the body brings: its Content-Length, or `max_bytes` when it has none.

    Refused (413) when more.
    """
    length = request.headers.get("content-length")
    size = max_bytes if length is None else parse_length(length)
    if size is None:
        raise Refused(400, "bad_request", f"expected a Content-Length in digits, got {shorten(length)}.")
    if size > max_bytes + MULTIPART_ROOM:
        raise _refuse_too_large(max_bytes)
    return size


async def read_image(request: Request, max_bytes: int, by_url: bool = False) -> bytes | str:
    """Reads the image: the body itself, or the multipart field "image". Refused (413, 415, 422).

    `by_url`: also its URL, of JSON or a form; a text is returned then.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data: bytes | str
    if kind == "multipart/form-data":
        data = await _read_multipart(request, max_bytes, by_url)
    elif kind.startswith("image/") or kind in ("", "application/octet-stream"):
        data = await read_body(request, max_bytes)
    elif by_url and kind == JSON:
        data = _find_url(await read_json_body(request, MOST_URL_BODY))
    elif by_url and kind == FORM:
        data = _find_url(_parse_form(await read_body(request, MOST_URL_BODY)))
    else:
        raise Refused(415, "unsupported_media_type", f"expected an image's bytes (Content-Type image/… or "
                      f"application/octet-stream) or multipart/form-data with the field image, got {shorten(kind)}."
                      + (f' A picture\'s URL: {{"url": …}} as {JSON} or {FORM}.' if by_url else ""))
    if not data:
        raise Refused(422, "bad_image", "expected an image, got no bytes.")
    return data


def _find_url(document: object) -> str:
    if not isinstance(document, dict) or set(document) != {"url"} or not isinstance(document["url"], str):
        raise Refused(422, "bad_request", f'expected {{"url": "https://…"}}, got {shorten(document)}.')
    if not document["url"]:
        raise Refused(422, "bad_request", "expected a URL, got an empty text.")
    return document["url"]


def _parse_form(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=8)
    except ValueError:
        raise Refused(422, "bad_form", "expected a form in ASCII with the field url.") from None
    if len(fields) != len(dict(fields)):
        raise Refused(422, "bad_form", "expected each field of the form once.")
    return dict(fields)


async def read_body(request: Request, limit: int) -> bytes:
    """Reads the whole body; Refused (413) as soon as it is longer than `limit` bytes."""
    return b"".join([chunk async for chunk in _stream_limited(request, limit)])


async def _stream_limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _refuse_too_large(limit)
        yield chunk


def _refuse_too_large(limit: int) -> Refused:
    return Refused(413, "too_large", f"expected at most {limit:,} bytes, got more. Send less.", {"Connection": "close"})


async def _read_multipart(request: Request, max_bytes: int, by_url: bool) -> bytes | str:
    stream = _stream_limited(request, max_bytes + MULTIPART_ROOM)
    parser = MultiPartParser(request.headers, stream, max_files=1, max_fields=8)
    parser.spool_max_size = max_bytes + MULTIPART_ROOM  # not on a disk, where what is to be redacted would lie
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:  # ValueError: a charset that is no encoding of texts
        raise Refused(422, "bad_multipart", f"expected multipart/form-data with one file: {shorten(str(error))}.") from None
    try:
        if by_url and list(form.keys()) == ["url"]:
            return _find_url(dict(form))
        image = form.get("image")
        if not isinstance(image, UploadFile):
            raise Refused(422, "bad_multipart", f"expected a file in the field image, got the fields: "
                          f"{', '.join(map(shorten, sorted(form))) or 'none'}.")
        data = await image.read()
    finally:
        await form.close()
    if len(data) > max_bytes:
        raise Refused(413, "too_large", f"expected an image of at most {max_bytes:,} bytes, got {len(data):,}.")
    return data


async def read_json_body(request: Request, limit: int = MOST_JSON) -> Any:
    """Reads the body, of at most `limit` bytes, as JSON. Refused (413, 422)."""
    body = await read_body(request, limit)
    try:
        return await asyncio.to_thread(parse_json, body) if len(body) > PARSED_ASIDE else parse_json(body)
    except (ValueError, RecursionError) as error:
        raise Refused(422, "bad_json", f"expected a JSON body, got something else: {error}.") from None


def parse_json(data: bytes | str) -> Any:
    """Parses JSON as `contract.jsonio.loads` does, unless it is more than would be read in bearable time. ValueError."""
    text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    if len(text) > MOST_VALUES and (found := sum(map(text.count, ",[{"))) > MOST_VALUES:
        raise ValueError(f"at most {MOST_VALUES:,} values are read, these are about {found:,}")
    return jsonio.loads(text)


def read_attributes(request: Request) -> dict[str, str] | None:
    """Reads `X-Attributes`, a JSON object of texts, numbers and booleans, as texts; None without it.

    Refused (422).
    """
    text = _read_header(request, "x-attributes")
    if text is None:
        return None
    try:
        given = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise Refused(422, "bad_attributes", f"X-Attributes: expected a JSON object, got {text[:80]!r}: {error}.") from None
    if not isinstance(given, dict) or len(given) > MOST_ATTRIBUTES:
        raise Refused(422, "bad_attributes", f"X-Attributes: expected a JSON object of at most {MOST_ATTRIBUTES} names.")
    return {_check_name(name): _format_value(name, value) for name, value in given.items() if value is not None}


def _check_name(name: str) -> str:
    if not 1 <= len(name) <= LONGEST_NAME or not _is_writable(name):
        raise Refused(422, "bad_attributes", f"X-Attributes: expected names of 1 to {LONGEST_NAME} printable characters, "
                      f"got {name[:80]!r}.")
    return name


def _format_value(name: str, value: object) -> str:
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str | int | float):
        text = str(value)
    else:
        raise Refused(422, "bad_attributes", f"X-Attributes: {name}: expected a text, a number or a boolean, got "
                      f"{type(value).__name__}.")
    if len(text) > LONGEST_VALUE or not _is_writable(text):
        raise Refused(422, "bad_attributes", f"X-Attributes: {name}: expected at most {LONGEST_VALUE} characters, none "
                      f"of them a control character.")
    return text


def read_request_id(request: Request) -> str | None:
    """Reads `X-Request-Id`, at most 200 characters; None without the header. Refused (422)."""
    return check_request_id(_read_header(request, "x-request-id") or "", "X-Request-Id") or None


def check_request_id(text: str, what: str) -> str:
    """Returns a request id, which may be any printable text of at most 200 characters. Refused (422), by the name `what`."""
    if len(text) > LONGEST_REQUEST_ID or not _is_writable(text):
        raise Refused(422, "bad_request_id", f"{what}: expected at most {LONGEST_REQUEST_ID} printable characters.")
    return text


def _read_header(request: Request, name: str) -> str | None:
    """Reads a header as UTF-8, which is what clients send; HTTP itself would say Latin-1."""
    text = request.headers.get(name)
    if text is None:
        return None
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def _is_writable(text: str) -> bool:
    """Says whether a text has no control characters and no lone surrogates, which UTF-8 cannot hold."""
    return not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) <= 0xDFFF for c in text)
