"""Sequences of numbered documents, for whatever several processes may advance: the next number is created exclusively.

History, version claims, runs and their owners, review batches and their answers, gold answers, proposals, plans of scoring
and attempts on a cluster are sequences, among others (contract/layout.py says which keys are). Two writers cannot both win
and no number is used twice. A sequence is a key with `{}` where the number stands, e.g. `runs/digits/{}/run.json`.
"""

import re
from collections.abc import Callable
from typing import Any

from contract import clock, jsonio
from contract.errors import AlreadyExists, NotFound
from contract.stores.store import Storage

LOOK_AGAIN_S = 60.0


class NumberedDocuments:
    """Numbered documents 1, 2, 3 … under one pattern; a gap ends it, so numbers are only ever taken in order."""

    def __init__(self, storage: Storage, pattern: str, begin: Callable[[], int] | None = None) -> None:
        """`begin` gives a number that was the newest once, or 0: where looking begins, so that nothing is listed."""
        if len(re.findall(r"\{[^}]*\}", pattern)) != 1:
            raise ValueError(f"pattern {pattern!r}: expected exactly one {{}}")
        self.storage = storage
        self.pattern = pattern
        self._begin = begin
        self._known, self._data = 0, b""  # the newest seen; documents never change
        self._seen_at = clock.monotonic()

    def key(self, n: int) -> str:
        """The key of number n."""
        return self.pattern.format(n)

    def get(self, n: int) -> Any:
        """Document n; NotFound when there is none, DamagedDocument when it is no JSON."""
        return jsonio.parse(self.storage.read(self.key(n)), self.uri(n))

    def uri(self, n: int) -> str:
        """Where number n lies, for people."""
        return self.storage.uri(self.key(n))

    def newest(self) -> tuple[int, Any] | None:
        """The highest number and its document, or None; DamagedDocument when that is no JSON."""
        newest = self.newest_number()
        return (newest, jsonio.parse(self._data, self.uri(newest))) if newest else None

    def forget(self) -> None:
        """Drops the newest that was seen, so that it is looked for and read again: for one that was damaged."""
        self._known, self._data = 0, b""

    def newest_number(self) -> int:
        """The highest number, 0 before the first. Looks once, then probes n + 1 (S3 keys are consistent).

        Once in `LOOK_AGAIN_S` the newest itself is read again: a store that was restored from a copy may have lost it.
        """
        if self._known and clock.monotonic() - self._seen_at >= LOOK_AGAIN_S:
            self._seen_at = clock.monotonic()
            if self._read(self._known) != self._data:
                self.forget()
        if not self._known:
            self._look()
        while (following := self._read(self._known + 1)) is not None:
            self._known, self._data = self._known + 1, following
        return self._known

    def append(self, document: Any, after: int) -> int:
        """Creates number after + 1 and returns it; AlreadyExists when somebody else was first."""
        data = jsonio.dumps(document)
        self.storage.create(self.key(after + 1), data)
        if after + 1 > self._known:
            self._known, self._data = after + 1, data
        return after + 1

    def add(self, document: Any) -> int:
        """Creates the next free number, whatever it is: for claims, where only uniqueness matters."""
        while True:
            try:
                return self.append(document, after=self.newest_number())
            except AlreadyExists:
                continue

    def _look(self) -> None:
        self._seen_at = clock.monotonic()
        begin = self._begin() if self._begin else 0
        if begin > 0 and self._take(begin):
            return
        for n in sorted(self._numbers(), reverse=True):
            if self._take(n):
                return

    def _take(self, n: int) -> bool:
        data = self._read(n)
        if data is not None:
            self._known, self._data = n, data
        return data is not None

    def _read(self, n: int) -> bytes | None:
        try:
            return self.storage.read(self.key(n))
        except NotFound:
            return None

    def _numbers(self) -> list[int]:
        head, _, tail = re.sub(r"\{[^}]*\}", "\0", self.pattern).partition("\0")
        if head.endswith("/") and tail.startswith("/"):  # what else lies in the folders (a run's beats) is not listed
            return [int(name) for name in self.storage.folders(head) if re.fullmatch(r"\d+", name)]
        form = re.compile(re.escape(head) + r"(\d+)" + re.escape(tail))
        return [int(m[1]) for e in self.storage.list(head) if (m := form.fullmatch(e.key))]
