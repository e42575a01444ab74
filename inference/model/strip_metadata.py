"""Takes what tells about people out of an image file - EXIF, GPS, XMP, comments, thumbnails - without touching pixels.

The compressed pixels, the colour profile and the orientation are kept byte for byte; bytes after the image's end are
cut. What is kept is an allow-list, so a kind of metadata that nobody has heard of yet is dropped, too. The hash of
the result is `image_sha256`. JPEG: ITU-T T.81, annex B; PNG: W3C third edition; WebP: RFC 9649.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from contract.errors import BadImage
from inference.model.preprocess import ORIENTATION, ImageInfo, inspect
from inference.model.work import MARKER

EXTENSIONS = {"jpeg": "jpg", "png": "png", "webp": "webp"}

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Pixels, palette, transparency and what says which colours are meant. Animation frames are left out: the first picture
# is what is classified.
PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP"}
WEBP_KEPT = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP"}
WEBP_FLAG_EXIF, WEBP_FLAG_XMP, WEBP_FLAG_ANIMATION = 0x08, 0x04, 0x02

SOI, EOI, SOS, APP0, APP1, APP2, APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE
_FILL = re.compile(rb"\xff+")
# Tables (DQT, DHT, DAC, DRI, DNL) and frames (SOF0-15); the APPn that change what the pixels mean are judged apart.
JPEG_KEPT = {0xDB, 0xC4, 0xCC, 0xDD, 0xDC} | set(range(0xC0, 0xD0)) - {0xC8}


def strip_metadata(data: bytes, info: ImageInfo | None = None) -> tuple[bytes, str]:
    """Returns (bytes without metadata, file extension). Stripped again, the bytes stay the same.

    `info`: the result of `inspect(data)`, when the caller has it. BadImage: truncated, animated WebP, or an image
    that would not read the same afterwards.
    """
    info = info or inspect(data)
    parts = {"jpeg": _strip_jpeg, "png": _strip_png, "webp": _strip_webp}[info.format]
    try:
        stripped = b"".join(parts(data, info.orientation))
    except (struct.error, IndexError):
        raise BadImage(f"the {info.format} file ends in the middle: it is truncated. Send it again.") from None
    if inspect(stripped, max_pixels=info.width * info.height) != info:
        raise BadImage(f"the {info.format} file's metadata contradict each other. Save it again with another program.")
    return stripped, EXTENSIONS[info.format]


def make_exif(orientation: int) -> bytes:
    """Makes the smallest EXIF block: one entry, the orientation (1 to 8)."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)


def _strip_jpeg(data: bytes, orientation: int) -> Iterator[bytes]:
    yield b"\xff\xd8"
    turned = b"" if orientation == 1 else _make_segment(APP1, b"Exif\0\0" + make_exif(orientation))
    for marker, payload, following in _split_jpeg(data):
        if turned and marker != APP0:  # JFIF wants to be first
            yield turned
            turned = b""
        if marker == EOI:
            yield b"\xff\xd9"
            return
        kept = _filter_segment(marker, payload)
        if kept is not None:
            yield _make_segment(marker, kept)
        yield following


def _split_jpeg(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yields (marker, payload, entropy-coded bytes that follow); EOI has neither."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise BadImage(f"the jpeg file is damaged: expected a marker at byte {at}.")
        at = _FILL.match(data, at).end() - 1  # type: ignore[union-attr]  # there is one at least
        marker = data[at + 1]
        if marker == EOI:
            yield EOI, b"", b""
            return
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(data):
            raise BadImage("the jpeg file ends in the middle of a segment: it is truncated. Send it again.")
        stop = _find_entropy_end(data, end) if marker == SOS else end
        yield marker, data[at + 4 : end], data[end:stop]
        at = stop


def _find_entropy_end(data: bytes, at: int) -> int:
    found = MARKER.search(data, at)
    if found is None:
        raise IndexError
    return found.start()


def _filter_segment(marker: int, payload: bytes) -> bytes | None:
    if marker in JPEG_KEPT or marker == SOS:
        return payload
    if marker == APP0 and payload.startswith(b"JFIF\0") and len(payload) >= 14:
        return payload[:12] + b"\0\0"  # without its thumbnail
    if marker == APP2 and payload.startswith(b"ICC_PROFILE\0"):
        return payload
    if marker == APP14 and payload.startswith(b"Adobe") and len(payload) >= 12:
        return payload[:12]  # says how the colours are coded
    return None


def _make_segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def _strip_png(data: bytes, orientation: int) -> Iterator[bytes]:
    yield PNG_SIGNATURE
    at, turned = 8, orientation != 1
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise IndexError
        if turned and kind == b"IDAT":
            yield _make_png_chunk(b"eXIf", make_exif(orientation))
            turned = False
        if kind in PNG_KEPT:
            yield data[at:end]
        if kind == b"IEND":
            return
        at = end


def _make_png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def _strip_webp(data: bytes, orientation: int) -> Iterator[bytes]:
    chunks = [(kind, payload) for kind, payload in _split_webp(data) if kind in WEBP_KEPT]
    if orientation != 1:
        chunks.append((b"EXIF", make_exif(orientation)))
    body = b"".join(_make_webp_chunk(kind, _set_webp_flags(payload, orientation) if kind == b"VP8X" else payload)
                    for kind, payload in chunks)
    yield b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _split_webp(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise IndexError
    at = 12
    while at + 8 <= size + 8:
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > size + 8:
            raise IndexError
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _set_webp_flags(payload: bytes, orientation: int) -> bytes:
    if payload[0] & WEBP_FLAG_ANIMATION:
        raise BadImage("the WebP file is animated: expected one picture. Send a single frame.")
    flags = payload[0] & ~(WEBP_FLAG_EXIF | WEBP_FLAG_XMP)
    return bytes((flags | (WEBP_FLAG_EXIF if orientation != 1 else 0),)) + payload[1:]


def _make_webp_chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
