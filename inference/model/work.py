"""What decoding an image would cost, found before any decoder sees the bytes, and refused when it is too much.

Pixels bound most of it, and `preprocess.inspect` bounds those. What a small file can have without many pixels is bounded
here: scans of a JPEG, each of which goes over the whole picture, and segments, chunks and bytes between them, which
Pillow looks at one by one. The most expensive accepted file of each kind takes some seconds (docs/log.md). EXIF,
compressed texts and colour profiles are bounded by Pillow itself.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from contract.errors import BadImage

# A picture for the web has 10 scans, one made for many looks 30. 100 of a small picture cost no more than 20 of a large one.
MOST_SCANS = 100
SCANS_OF_A_LARGE_PICTURE = 20
FEW_SCANS = 10  # that no picture has too many pixels for
MOST_SEGMENTS = 5_000  # a phone's file with a depth map has some hundreds
MOST_CHUNKS = 20_000  # 20 MB in pieces of 1 KiB; libpng's own have 8
MOST_BETWEEN = 64 << 10

SOI, EOI, SOS, TEM = 0xD8, 0xD9, 0xDA, 0x01
ARITHMETIC = {0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
UNKNOWN = {0xC8, *range(0xF0, 0xFE)}  # of which Pillow looks at each byte
# The last 0xFF before a byte that makes a marker of it: neither stuffing (00), a restart (D0-D7) nor a fill byte.
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def count_scans(data: bytes) -> int:
    """Returns how often a decoder goes over the picture of these bytes: the scans of a JPEG, 1 for all else.

    BadImage: reading it would cost more than a picture may.
    """
    if data[:2] == b"\xff\xd8":
        return _judge_jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        _judge_png(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        _judge_webp(data)
    return 1


def check_scans(scans: int, pixels: int, large: int) -> None:
    """BadImage when so many scans go over so many pixels; `large`: pixels of the largest picture that is accepted."""
    if scans > FEW_SCANS and scans * pixels > SCANS_OF_A_LARGE_PICTURE * large:
        raise BadImage(f"expected a jpeg of at most {SCANS_OF_A_LARGE_PICTURE} scans for {large:,} pixels, got {scans} for "
                       f"{pixels:,}: decoding would take too long. Save it again as a baseline jpeg.")


def has_few_scans(data: bytes | memoryview) -> bool:
    """Says at little cost that a JPEG has few scans; False where it takes a closer look (`count_scans`) to tell."""
    return bytes(data).count(b"\xff\xda") <= FEW_SCANS


def _judge_jpeg(data: bytes) -> int:
    scans, between, end = 0, 0, 2
    for segments, (at, marker, after) in enumerate(_walk_jpeg(data), start=1):
        if marker in ARITHMETIC:
            raise BadImage("the jpeg file is coded arithmetically: expected Huffman coding. Save it again with another "
                           "program.")
        # Within a scan the bytes before a marker are pixels.
        between += (0 if scans else at - end) + (after - at if marker in UNKNOWN else 0)
        scans += marker == SOS
        if scans > MOST_SCANS:
            raise BadImage(f"expected at most {MOST_SCANS} scans in a jpeg, got more: decoding would take too long. Save it "
                           f"again as a baseline jpeg.")
        _refuse_many("segments", segments, MOST_SEGMENTS)
        _refuse_many("bytes between the segments", between, MOST_BETWEEN)
        end = after
    return scans


def _walk_jpeg(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields (place, marker, where its segment ends) as libjpeg finds them, damaged files included, up to the picture's end."""
    at = 2
    while found := MARKER.search(data, at):
        at, marker = found.start(), data[found.start() + 1]
        if marker == EOI:
            return
        alone = marker in (TEM, SOI)
        length = 0 if alone or at + 4 > len(data) else max(int.from_bytes(data[at + 2:at + 4], "big"), 2)
        yield at, marker, at + 2 + length
        at += 2 + length


def _judge_png(data: bytes) -> None:
    at, chunks, kind = 8, 0, b""
    while at + 8 <= len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        chunks += 1
        _refuse_many("chunks", chunks, MOST_CHUNKS)
        at += 12 + length


def _judge_webp(data: bytes) -> None:
    at, chunks, end = 12, 0, min(len(data), int.from_bytes(data[4:8], "little") + 8)
    while at + 8 <= end:
        (length,) = struct.unpack_from("<4xI", data, at)
        chunks += 1
        _refuse_many("chunks", chunks, MOST_CHUNKS)
        at += 8 + length + length % 2


def _refuse_many(what: str, found: int, most: int) -> None:
    if found > most:
        raise BadImage(f"expected at most {most:,} {what}, got more: reading them would take too long. Save the image again "
                       f"with another program.")
