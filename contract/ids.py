"""Identifiers: UUIDv7, made from one reading of the clock and read back to their UTC day (RFC 9562), and sha256 in hex."""

import os
import re
from datetime import datetime
from typing import TypeGuard

from contract import clock

# 36 characters with hyphens, either case, version 7, variant 10xx (docs/design.md#the-rules-of-counting).
UUID7 = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")
SHA256 = "[0-9a-f]{64}"  # the pattern of a content hash, for patterns of more
_WHOLE = re.compile(SHA256)


def uuid7(at: datetime | None = None, entropy: bytes | None = None) -> str:
    """A new UUIDv7 of the moment `at` (default: now); `entropy` (10 bytes) makes it reproducible."""
    ms = clock.to_us(at or clock.now()) // 1000
    tail = bytearray(entropy or os.urandom(10))
    tail[0] = 0x70 | tail[0] & 0x0F
    tail[2] = 0x80 | tail[2] & 0x3F
    text = (ms.to_bytes(6, "big") + bytes(tail[:10])).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_uuid7(text: str | None) -> TypeGuard[str]:
    """Whether the text is a UUIDv7 with hyphens."""
    return text is not None and UUID7.fullmatch(text) is not None


def is_sha256(text: str | None) -> TypeGuard[str]:
    """Whether the text is a sha256 of 64 hex digits in lower case, as pictures and files are named."""
    return text is not None and _WHOLE.fullmatch(text) is not None


def moment_of(uuid: str) -> datetime:
    """The millisecond that a UUIDv7 carries."""
    return clock.from_us(int(uuid[:8] + uuid[9:13], 16) * 1000)


def day_of(uuid: str | None) -> str | None:
    """The UTC day of a UUIDv7 as `YYYY-MM-DD`; None for ids of any other kind (or beyond the year 9999).

    For whether a row may lie in a partition ask `may_lie_in`: a UUIDv7 beyond the calendar may lie in none.
    """
    if not is_uuid7(uuid):
        return None
    try:
        return clock.day_of(moment_of(uuid))
    except OverflowError:
        return None


def may_lie_in(day: str, uuid: str | None) -> bool:
    """Whether a row with this id may lie in the partition of `day`: not so if it is a UUIDv7 of another day.

    Ids of other kinds carry no day, so their partition says it (docs/design.md#the-bucket).
    """
    return not is_uuid7(uuid) or day_of(uuid) == day
