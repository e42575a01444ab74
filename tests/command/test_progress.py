"""Progress: plain lines now and then off a terminal, a bar on one; never on standard output."""

import io

import pytest

from command import progress as module
from command.progress import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def open_terminal(monkeypatch, kind="xterm"):
    """Standard error becomes a terminal; in the test itself, for pytest sets the streams anew after the fixtures."""
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", kind)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return stream


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when told."""
    seconds = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds[0])
    return seconds


def test_plain_lines_every_five_seconds_and_at_the_end(capsys, clock):
    with progress("evaluate", 100, "days") as shown:
        for _ in range(100):
            clock[0] += 0.25
            shown.advance(day="2026-11-20")
    out, err = capsys.readouterr()
    assert out == "" and "\x1b" not in err
    assert err.splitlines() == [
        f"evaluate: {n}/100 days, 4.0/s, {end}, day 2026-11-20"
        for n, end in ((20, "20 s left"), (40, "15 s left"), (60, "10 s left"), (80, "5 s left"), (100, "took 25.0 s"))]


def test_work_that_was_there_before_counts_for_no_rate(clock):
    shown = module.Progress("train", 10, "steps", done=8)
    clock[0] = 2.0
    shown.done += 1
    assert shown.line({}) == "train: 9/10 steps, 0.5/s, 2 s left"


def test_a_terminal_gets_a_bar_that_is_drawn_over(monkeypatch, capsys):
    terminal = open_terminal(monkeypatch)
    with progress("send [x]", 3, "requests") as shown:
        for _ in range(3):
            shown.advance()
        shown.print("a line [y] that stays")
        print("a document")
    drawn = terminal.getvalue()
    assert "send [x]: 3/3 requests" in drawn and "━" in drawn and "\x1b[2K" in drawn
    assert "a line [y] that stays\n" in drawn
    assert capsys.readouterr().out == "a document\n", "standard output is left alone"


def test_the_terminal_is_given_back_after_an_error(monkeypatch):
    terminal = open_terminal(monkeypatch)
    with pytest.raises(ZeroDivisionError), progress("x", 3, "y") as shown:
        shown.advance()
        raise ZeroDivisionError
    assert terminal.getvalue().endswith("\x1b[?25h"), "the cursor is shown again"


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    terminal = open_terminal(monkeypatch, "dumb")
    with progress("x", 1, "files") as shown:
        shown.advance()
    assert terminal.getvalue().startswith("x: 1/1 files, ") and "\x1b" not in terminal.getvalue()
