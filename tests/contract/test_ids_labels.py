"""Identifiers carry their UTC day, and labels have one form."""

import time
import unicodedata
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import clock, ids
from contract.errors import BadLabel
from contract.labels import normalise, normalise_class
from tests.test_architecture import files, source

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC))


@given(MOMENTS)
def test_an_id_carries_its_moment_to_the_millisecond(moment):
    made = ids.uuid7(moment)
    assert uuid.UUID(made).version == 7 and uuid.UUID(made).variant == uuid.RFC_4122
    assert ids.moment_of(made) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert ids.day_of(made) == ids.day_of(made.upper()) == clock.day_of(moment)


def test_ids_are_unique_and_sort_by_time():
    same = [ids.uuid7(datetime(2026, 11, 20, tzinfo=UTC)) for _ in range(1000)]
    assert len(set(same)) == 1000
    assert max(same) < ids.uuid7(datetime(2026, 11, 20, 0, 0, 0, 1000, UTC))


def test_given_entropy_makes_the_same_id():
    moment, entropy = datetime(2026, 11, 20, tzinfo=UTC), b"0123456789"
    assert ids.uuid7(moment, entropy) == ids.uuid7(moment, entropy)


@pytest.mark.parametrize("text", [
    None, "", "x", str(uuid.UUID(int=0)), "f495591b-abad-4783-8a7e-b19758ebbb98", "019abcde0123789abcdef0123456789a",
    "{019abcde-0123-7abc-8def-0123456789ab}", "019abcde-0123-7abc-cdef-0123456789ab", " 019abcde-0123-7abc-8def-0123456789ab",
    "019abcde-0123-7abc-8def-0123456789ab\n",
])
def test_other_ids_have_no_day(text):
    assert not ids.is_uuid7(text) and ids.day_of(text) is None


def test_an_id_beyond_the_calendar_has_no_day():
    beyond = "ffffffff-ffff-7fff-bfff-ffffffffffff"
    assert ids.day_of(beyond) is None and not ids.may_lie_in("2026-11-20", beyond)


def test_only_a_uuid7_of_another_day_may_not_lie_in_a_day():
    inside = ids.uuid7(datetime(2026, 11, 20, 23, 59, 59, 999_999, UTC))
    assert ids.may_lie_in("2026-11-20", inside) and not ids.may_lie_in("2026-11-21", inside)
    assert ids.may_lie_in("2026-11-21", "order 7") and ids.may_lie_in("2026-11-21", None)


@pytest.mark.parametrize(("text", "expected"), [
    ("  cat ", "cat"), ("tabby\t cat\n", "tabby cat"), ("e\u0301", "\u00e9"), ("Cat", "Cat"),
    ("a\u00a0b", "a b"), ("x" * 200, "x" * 200),
])
def test_labels_have_one_form(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(("label", "message"), [
    ("", "1 to 200 characters, got 0"), (" \t", "got 0"), ("x" * 201, "got 201"), ("a\x00b", r"U\+0000"),
    ("a\x1bb", r"U\+001B"), (None, "expected a label as text, got NoneType"), (7, "got int"),
])
def test_bad_labels_are_refused(label, message):
    with pytest.raises(BadLabel, match=message):
        normalise(label)


def test_a_label_that_is_too_long_is_refused_before_it_is_normalised():
    """NFC takes time in the square of the marks in a row: 4.6 s for 128 kB."""
    began = time.process_time()
    with pytest.raises(BadLabel, match="1 to 200 characters, got 1000001"):
        normalise("a" + "\u0301\u0316" * 500_000)
    assert time.process_time() - began < 1


def test_no_label_that_fits_once_normalised_is_refused_before():
    letter = "\u1f82"  # the longest that there is: alpha and three marks
    written = unicodedata.normalize("NFD", letter)
    assert len(written) == 4 == max(len(unicodedata.normalize("NFD", chr(n))) for n in range(0x110000))
    assert normalise(written * 200) == normalise(letter * 200)
    assert normalise(" " * 5000 + "cat" + " " * 5000 + "dog") == "cat dog"


HIDDEN = ["\u00ad", "\u061c", "\u180e", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d",
          "\u202e", "\u2060", "\u2061", "\u2062", "\u2063", "\u2064", "\u2066", "\u2067", "\u2068", "\u2069", "\u206f", "\ufeff",
          "\ufff9", "\U0001d173", "\U000e0001", "\U000e0061", "\ufe0f", "\U000e0100", "\u034f", "\u115f", "\u3164", "\uffa0",
          "\u2800"]


@pytest.mark.parametrize("character", HIDDEN, ids=lambda c: f"U+{ord(c):04X}")
def test_characters_that_are_not_seen_are_refused_with_their_place(character):
    for text, place in (("cat", 2), ("c", 2), ("кот", 3)):
        label = text[:place - 1] + character + text[place - 1:]
        with pytest.raises(BadLabel, match=rf"not seen: U\+{ord(character):04X} \(.*\), number {place} of {len(label)} char"):
            normalise(label)


@pytest.mark.parametrize("label", [
    "می\u200cخواهم", "نامه\u200cای", "श्\u200dर", "র\u200d্য", "👩\u200d🚀", "👨\u200d👩\u200d👧", "🧑🏽\u200d💻",
    "❤\ufe0f\u200d🔥", "🏳\ufe0f\u200d🌈", "1\ufe0f\u20e3", "☠\ufe0f", "葛\U000e0100",
    "≠", "١\u0601", "naïve café", "猫", "кот", "🐈\u200d⬛",
])
def test_joiners_and_selectors_stay_where_writing_needs_them(label):
    assert normalise(label) == unicodedata.normalize("NFC", label)


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    try:
        once = normalise(text)
    except BadLabel:
        return
    assert normalise(once) == once


def test_wrong_is_a_label_and_no_class():
    assert normalise(" ≠ ") == "≠"
    with pytest.raises(BadLabel, match="says that an answer is wrong and names none"):
        normalise_class(" ≠ ")
    assert normalise_class(" a  b ") == "a b"


@pytest.mark.parametrize(("text", "is_one"), [
    ("0f" * 32, True), ("0F" * 32, False), ("0f" * 31, False), ("0f" * 32 + "\n", False), ("0f" * 33, False), ("", False),
    (None, False)])
def test_a_sha256_has_64_hex_digits_in_lower_case(text, is_one):
    assert ids.is_sha256(text) == is_one


def test_what_a_sha256_looks_like_stands_in_one_file():
    assert [name for name in files() if "[0-9a-f]{64}" in source(name)] == ["contract/ids.py"]
