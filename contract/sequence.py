"""The one primitive for everything that moves: create the next number exclusively.

History, version claims, runs, owners, heartbeats and review batches are sequences. Two writers cannot both win and no
number is used twice. A sequence is a key with `{}` where the number stands, e.g. `runs/digits/{}/run.json`.
"""

import re
from typing import Any

from contract import jsonio
from contract.errors import AlreadyExists, NotFound
from contract.storage import Storage


class Sequence:
    """Numbered documents 1, 2, 3 … under one pattern; a gap ends it, so numbers are only ever taken in order."""

    def __init__(self, storage: Storage, pattern: str) -> None:
        if len(re.findall(r"\{[^}]*\}", pattern)) != 1:
            raise ValueError(f"pattern {pattern!r}: expected exactly one {{}}")
        self.storage = storage
        self.pattern = pattern
        self._known = 0

    def key(self, n: int) -> str:
        """The key of number n."""
        return self.pattern.format(n)

    def get(self, n: int) -> Any:
        """Document n; NotFound when there is none."""
        return jsonio.loads(self.storage.read(self.key(n)))

    def newest(self) -> tuple[int, Any] | None:
        """The highest number and its document, or None. Lists once, then probes n + 1 (S3 keys are consistent)."""
        if not self._known:
            self._known = max(self._numbers(), default=0)
        document = self._read(self._known) if self._known else None
        while (following := self._read(self._known + 1)) is not None:
            self._known, document = self._known + 1, following
        return (self._known, document) if self._known else None

    def append(self, document: Any, after: int) -> int:
        """Creates number after + 1 and returns it; AlreadyExists when somebody else was first."""
        self.storage.create(self.key(after + 1), jsonio.dumps(document))
        self._known = max(self._known, after + 1)
        return after + 1

    def add(self, document: Any) -> int:
        """Creates the next free number, whatever it is: for claims, where only uniqueness matters."""
        while True:
            newest = self.newest()
            try:
                return self.append(document, after=newest[0] if newest else 0)
            except AlreadyExists:
                continue

    def _read(self, n: int) -> Any:
        try:
            return self.get(n)
        except NotFound:
            return None

    def _numbers(self) -> list[int]:
        head, _, tail = re.sub(r"\{[^}]*\}", "\0", self.pattern).partition("\0")
        form = re.compile(re.escape(head) + r"(\d+)" + re.escape(tail))
        return [int(m[1]) for e in self.storage.list(head) if (m := form.fullmatch(e.key))]
