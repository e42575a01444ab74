"""Log lines for people: time, level in its colour, a sentence; nothing that others wrote moves the cursor."""

import io
import logging
import re

import pytest

from command.log_lines import SENTENCES, HumanLines, wants_colours, wants_text, write_event
from tests.command.test_progress import Terminal
from tests.inference.route_cases import SOURCE


def write(level, event, colours=False, **fields):
    record = logging.LogRecord("trueup", level, "", 0, event, (), None)
    record.fields = fields
    return HumanLines(colours).format(record)


def test_a_line_is_time_level_and_sentence():
    facts = {"model": "digits", "version": "2", "replaces": "1", "network": "resnet18", "weights_sha256": "ab" * 32}
    line = write(logging.INFO, "now serving", **facts)
    assert re.fullmatch(r"\d\d:\d\d:\d\d  info     Now serving version 2 of digits\.  replaces=1 network=resnet18", line)
    assert write(logging.WARNING, "clocks differ", reason="40 s").endswith("  warning  Clocks differ.  reason=40 s")


def test_an_event_that_lacks_a_value_of_its_sentence_is_still_a_line():
    assert write_event("now serving", {"model": "digits"}) == ("Now serving.", "model=digits")


def test_numbers_have_thousands_and_nothing_is_said_of_what_is_not_there():
    assert write_event("shipped", {"rows": 12000, "key": "predictions/x", "error": None}) == (
        "Shipped 12,000 rows to predictions/x.", "")


def test_colours_and_escapes():
    assert "\x1b[31merror  \x1b[0m" in write(logging.ERROR, "store unavailable", colours=True, error="x")
    plain = write(logging.ERROR, "store unavailable", error="\x1b[2J\nevil")
    assert "\x1b" not in plain and len(plain.splitlines()) == 1


def test_a_traceback_follows_its_line():
    try:
        raise ValueError("x")
    except ValueError as error:
        record = logging.LogRecord("trueup", logging.ERROR, "", 0, "broken", (), (ValueError, error, error.__traceback__))
    assert HumanLines(False).format(record).splitlines()[1].startswith("Traceback")


@pytest.mark.parametrize(("log_format", "stream", "expected"), [
    ("auto", Terminal(), True), ("auto", io.StringIO(), False), ("json", Terminal(), False), ("text", io.StringIO(), True)])
def test_lines_are_for_people_on_a_terminal(log_format, stream, expected):
    assert wants_text(log_format, stream) is expected


def test_colours_are_for_terminals_of_those_who_want_them(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_colours(Terminal()) and not wants_colours(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colours(Terminal())


def test_every_sentence_is_of_an_event_that_is_logged():
    source = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    assert {name for name in SENTENCES if f'"{name}"' not in source} == set()
