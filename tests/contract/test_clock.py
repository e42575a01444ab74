"""Moments and days, exactly; and the shifted clock of demos and tests."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import clock
from contract.errors import UsageError
from contract.storage import open_storage

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))


@given(MOMENTS)
def test_moments_survive_as_microseconds_and_as_text(moment):
    assert clock.from_us(clock.to_us(moment)) == moment
    assert clock.parse_moment(clock.iso(moment)) == moment


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_moments_do(a, b):
    assert (clock.iso(a) < clock.iso(b)) == (a < b)


@pytest.mark.parametrize(("text", "expected"), [
    ("2026-11-20", "2026-11-20T23:59:59.999999Z"),
    ("2026-11-20T12:00:00", "2026-11-20T12:00:00.000000Z"),
    ("2026-11-20T12:00:00+02:00", "2026-11-20T10:00:00.000000Z"),
    ("2026-11-20T12:00:00.5Z", "2026-11-20T12:00:00.500000Z"),
])
def test_moments_are_read_in_utc(text, expected):
    assert clock.iso(clock.parse_moment(text)) == expected


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-02-30", ""])
def test_what_is_no_moment_or_day_is_refused(text):
    with pytest.raises(UsageError, match="is no moment: expected ISO 8601"):
        clock.parse_moment(text)
    with pytest.raises(UsageError, match="is no day: expected YYYY-MM-DD"):
        clock.parse_day(text)


def test_a_day_is_that_of_utc():
    east = timezone(timedelta(hours=5))
    assert clock.day_of(datetime(2026, 11, 20, 4, 59, 59, 999999, east)) == "2026-11-19"
    assert clock.day_of(datetime(2026, 11, 20, 5, tzinfo=east)) == "2026-11-20"


def test_the_clock_file_shifts_every_reading(tmp_path, monkeypatch):
    file = tmp_path / "offset"
    file.write_text("-86400")
    before = clock.now()
    monkeypatch.setenv(clock.CLOCK_FILE, str(file))
    assert timedelta(0) <= clock.now() - before + timedelta(days=1) < timedelta(minutes=1)
    monotonic = clock.monotonic()
    file.write_text("3600.5\n")
    assert clock.offset() == 3600.5 and clock.monotonic() - monotonic < 60


def test_a_clock_file_that_is_no_number_or_not_there_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "offset").write_text("soon")
    for name in ("offset", "none"):
        monkeypatch.setenv(clock.CLOCK_FILE, str(tmp_path / name))
        with pytest.raises(UsageError, match="expected a file with a number of seconds"):
            clock.now()


def test_a_shifted_clock_is_refused_on_s3(tmp_path, monkeypatch):
    (tmp_path / "offset").write_text("1")
    monkeypatch.setenv(clock.CLOCK_FILE, str(tmp_path / "offset"))
    with pytest.raises(UsageError, match="a shifted clock is refused on S3"):
        open_storage("s3://bucket/prefix")
    open_storage(str(tmp_path))
