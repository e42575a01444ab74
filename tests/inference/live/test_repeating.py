"""Work that is repeated in a thread: whatever it raises, until it is told to end."""

import threading

from contract import clock
from inference.live.repeating import Repeater


def test_it_goes_on_whatever_it_raises_and_ends_when_it_is_told(capfd):
    asked, enough = [], threading.Event()

    def work():
        asked.append(threading.current_thread().name)
        if len(asked) == 3:
            enough.set()
        raise SystemExit if len(asked) % 2 else ValueError("bad")

    repeater = Repeater("mine", 0.001, work).start()
    assert enough.wait(30)
    repeater.end()
    repeater.join(clock.monotonic() + 30)
    done = len(asked)
    assert not repeater._thread.is_alive() and done >= 3 and set(asked) == {"mine"}


def test_it_begins_after_its_pause_or_at_once():
    for at_once in (False, True):
        asked = threading.Event()
        repeater = Repeater("mine", 3600, asked.set, at_once).start()
        assert asked.wait(30 if at_once else 0.2) == at_once
        repeater.end()
        repeater.join(clock.monotonic() + 30)
        assert not repeater._thread.is_alive()


def test_one_that_hangs_is_not_waited_for_longer_than_was_said():
    free = threading.Event()
    repeater = Repeater("mine", 3600, lambda: free.wait(60) and None, at_once=True).start()
    repeater.end()
    repeater.join(clock.monotonic())
    assert repeater._thread.is_alive()
    free.set()
    repeater.join(clock.monotonic() + 30)
    assert not repeater._thread.is_alive()
