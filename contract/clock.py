"""The only source of moments: what is written down as a time comes from here. Durations inside a process need no offset,
and are taken from the monotonic clock wherever they are measured.

`TRUEUP_CLOCK_FILE` names a file holding an offset in seconds (a float), read at every call, so that a demo or a
test can play several days. Only for roots on a disk: opening an S3 root calls `refuse_on_s3` (contract/storage.py).
"""

import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from contract.errors import UsageError, shorten

CLOCK_FILE = "TRUEUP_CLOCK_FILE"
MOST_SHIFT = 100 * 366 * 86400.0  # seconds
US_PER_HOUR = 3_600_000_000
US_PER_DAY = 24 * US_PER_HOUR
MS_PER_DAY = US_PER_DAY // 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def offset() -> float:
    """Seconds added to the machine's clock: 0 unless `TRUEUP_CLOCK_FILE` is set."""
    path = os.environ.get(CLOCK_FILE)
    if not path:
        return 0.0
    try:
        seconds = float(Path(path).read_text().strip() or 0)
        if not abs(seconds) <= MOST_SHIFT:
            raise ValueError(f"{seconds:g}, more than a hundred years")
        return seconds
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{CLOCK_FILE} names {path!r}: expected a file with a number of seconds, got {error}. "
            f"Write one (for example 0) or unset {CLOCK_FILE}."
        ) from error


def now() -> datetime:
    """The current moment, in UTC, to the microsecond."""
    return from_us(now_us())


def now_us() -> int:
    """The current moment as microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000 + round(offset() * 1_000_000)


def machine() -> float:
    """Seconds since 1970 by this machine's clock, without the offset: to compare with other machines' clocks."""
    return time.time()


def monotonic() -> float:
    """Seconds of a clock that never jumps; heartbeats use it, never the offset."""
    return time.monotonic()


def refuse_on_s3(root: str) -> None:
    """UsageError for an S3 root while the clock is shifted: that is for demos and tests on a local folder."""
    if os.environ.get(CLOCK_FILE) and root.startswith("s3"):
        raise UsageError(f"{CLOCK_FILE} is set, but the root is {root!r}: a shifted clock is refused on S3. Unset it.")


def from_us(us: int) -> datetime:
    """Microseconds since 1970 to an aware datetime in UTC (exact, no floats)."""
    return EPOCH + timedelta(microseconds=us)


def to_us(moment: datetime) -> int:
    """An aware datetime (or a naive one, read as UTC) to microseconds since 1970 (exact)."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def day_of(moment: datetime) -> str:
    """The UTC day of a moment, as `YYYY-MM-DD`."""
    return moment.astimezone(UTC).date().isoformat()


def parse_moment(text: str) -> datetime:
    """An ISO 8601 moment; a time without a zone is UTC, a day alone is its last microsecond.

    >>> parse_moment("2026-11-20T12:00:00+02:00").isoformat()
    '2026-11-20T10:00:00+00:00'
    """
    try:
        if len(text) == 10:
            end = datetime.combine(date.fromisoformat(text) + timedelta(days=1), datetime.min.time(), UTC)
            return end - timedelta(microseconds=1)
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:  # also one that lies before year 1 or after 9999 in UTC
        raise UsageError(f"{shorten(text)} is no moment: expected ISO 8601, for example 2026-11-20T08:00:00Z.") from error


def parse_day(text: str) -> str:
    """A UTC day `YYYY-MM-DD`, checked."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UsageError(f"{shorten(text)} is no day: expected YYYY-MM-DD, for example 2026-11-20.") from error


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with six digits and `Z`, so that texts sort as moments do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
