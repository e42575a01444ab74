"""Storage as the fault point: every write of a process is recorded, and at any of them the process can die.

A death is an exception that nothing catches (`Died`), after which the store of that process answers nothing more, so
that no clean-up of the dying process can reach it: what is left is what a SIGKILL would leave.
"""

import re
from collections import Counter
from collections.abc import Callable

from contract import storage as storage_module

WRITES = ("create", "put", "put_file", "delete", "erase")
BEFORE, AFTER = "before", "after"
# What is new in every attempt: the names of attempts, the digests of what holds them, the numbers of owners.
RANDOM = re.compile(r"[0-9a-f]{8,64}|(?<=owner-)[0-9]+")


class Died(BaseException):
    """The process ended here."""


def named(verb: str, key: str) -> str:
    """One write, by what stays the same when it is done again."""
    return f"{verb} {RANDOM.sub('*', key)}"


class Process:
    """What one process may write before it dies: `fatal(name) -> None, "before" or "after"`, asked for each write."""

    def __init__(self, fatal: Callable[[str], str | None] = lambda name: None) -> None:
        self.fatal, self.dead = fatal, False
        self.writes: list[str] = []
        self._seen: Counter[str] = Counter()

    def alive(self) -> None:
        """Nothing answers a dead process."""
        if self.dead:
            raise Died

    def write(self, verb: str, key: str, do: Callable[[], None]) -> None:
        """Does a write, or dies around it."""
        self.alive()
        name = named(verb, key)
        self._seen[name] += 1
        name = f"{name} #{self._seen[name]}"
        self.writes.append(name)
        when = self.fatal(name)
        try:
            if when != BEFORE:
                do()
        finally:  # also when the write is refused, as the probe of conditional writes is
            if when:
                self.dead = True
                raise Died(f"{when} {name}")


class FaultyStorage:
    """A store as a process sees it."""

    def __init__(self, inner, process: Process) -> None:
        self.inner, self.process = inner, process

    def __getattr__(self, name: str):
        value = getattr(self.inner, name)
        if not callable(value):
            return value

        def call(*arguments):
            self.process.alive()
            if name in WRITES:
                return self.process.write(name, arguments[0], lambda: value(*arguments))
            return value(*arguments)

        return call


def patched(monkeypatch, process: Process) -> None:
    """From here on every store that is opened in this Python belongs to `process`."""
    opened = getattr(storage_module.open_storage, "unpatched", storage_module.open_storage)

    def faulty(root: str):
        if "trueup-trial-" in root:  # a scratch root, which nobody but its process reads
            return opened(root)
        return FaultyStorage(opened(root), process)

    faulty.unpatched = opened
    monkeypatch.setattr(storage_module, "open_storage", faulty)
