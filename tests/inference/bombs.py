"""Files that cost a decoder far more than their size or their pixels say."""

import struct
import zlib

from inference.model.strip_metadata import _make_segment, _split_jpeg
from tests.inference.made_pictures import encode, pixels

SOS, EOI = 0xDA, b"\xff\xd9"


def many_scans(scans: int, width: int = 500, height: int = 500, seed: int | None = None) -> bytes:
    """A progressive JPEG, blank without a seed, whose last scan is repeated until it has that many."""
    image = pixels(0, 1, 1).resize((width, height)) if seed is None else pixels(seed, width, height)
    parts = [(marker, _make_segment(marker, payload) + pixel_bytes)
             for marker, payload, pixel_bytes in _split_jpeg(encode(image, progressive=True)) if payload]
    last = [part for marker, part in parts if marker == SOS][-1]
    own = sum(marker == SOS for marker, _ in parts)
    return b"\xff\xd8" + b"".join(part for _, part in parts) + last * (scans - own) + EOI


def chunk(kind: bytes, payload: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of these chunks between its first and its last."""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) \
        + b"".join(chunks) + chunk(b"IEND", b"")


def idat_pieces(width: int, height: int, size: int) -> bytes:
    """A PNG whose pixels come in pieces of that many bytes (0: one empty piece before each byte)."""
    packed = zlib.compress(bytes((width * 3 + 1) * height))
    if size == 0:
        return png(width, height, *[chunk(b"IDAT", b"")] * 100_000, chunk(b"IDAT", packed))
    return png(width, height, *[chunk(b"IDAT", packed[n:n + size]) for n in range(0, len(packed), size)])
