"""Page sessions that were ended before their time: by a logout.

A session is a signed cookie that no replica remembers. What is remembered is its end: `keys/ended-<until>-<digest>.json`, which
the listing of the key folder shows to every replica within seconds (inference/known_keys.py), and which goes once the cookie
would have ended by itself. Where the store does not take it, the session is over at this replica, until it starts again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from contract import clock, layout
from contract.stores.store import Storage, create_if_absent

NAME = re.compile(r"ended-(?P<until>[0-9]{1,12})-(?P<digest>[0-9a-f]{32})")


class EndedSessions:
    """Which sessions are over. `end` writes to the store, and blocks; the others answer from memory."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._here: dict[str, int] = {}  # digest -> when the cookie would have ended
        self._listed: dict[str, int] = {}

    def has(self, cookie: str) -> bool:
        """Says whether the session of this cookie was ended."""
        digest = _hash(cookie)
        return digest in self._listed or digest in self._here

    def note(self, names: Iterable[str]) -> None:
        """Takes over which ends the store holds, from the names of all documents beside the keys."""
        self._listed = {found["digest"]: int(found["until"]) for name in names if (found := NAME.fullmatch(name))}

    def end_here(self, cookie: str, until: int) -> None:
        """Ends a session that lasts until then (seconds since 1970) at this replica."""
        now = clock.now().timestamp()
        self._here = {digest: end for digest, end in self._here.items() if end > now} | {_hash(cookie): until}

    def end(self, cookie: str, until: int) -> None:
        """Ends a session everywhere, and drops the ends of those that are over by themselves. RootError."""
        self.end_here(cookie, until)
        create_if_absent(self._storage, layout.api_key(f"ended-{until}-{_hash(cookie)}"), b'{"schema": "1"}\n')
        now = clock.now().timestamp()
        for digest, end in self._listed.items():
            if end < now:
                self._storage.delete(layout.api_key(f"ended-{end}-{digest}"))


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()[:32]
