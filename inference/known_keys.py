"""The documents of the key folder as the store last showed them, so that no request waits for the store.

One listing says which documents there are and which have changed; those are read in the background. So a revoked key ends
within a listing, an id that nobody made costs no read of its own, and a store that is out of reach changes nothing until
`max_age_s` have passed. Only an id that was never seen waits, for `WAIT_S` at the most.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Generic, TypeVar

from contract import clock
from contract.texts.figures import write_count
from inference.auth import Refused
from inference.daemon_pool import DaemonPool
from inference.telemetry import log_event

Document = TypeVar("Document")
WAIT_S = 1.0
# Ids that nobody made lead to listings: not more often than this.
LISTING_PAUSE_S = 0.1
MOST_ABSENT = 4096
READERS, FIRST_READERS = 4, 4
# A listing that is overdue by more than this is taken for a store that does not answer.
OVERDUE_S = 4.0
LISTING = ""


@dataclass(frozen=True)
class Known(Generic[Document]):
    """A document, the etag that it was read under, and when the store last said that it is the current one."""

    document: Document
    etag: str
    at: float


class KnownKeys(Generic[Document]):
    """Documents by id. Any thread may ask; `find` and `ask` belong to an event loop."""

    def __init__(self, list_etags: Callable[[], Mapping[str, str]], read: Callable[[str], Document | None],
                 fresh_s: float, max_age_s: float) -> None:
        """`list_etags()`: id -> etag of all documents; `read(id)`: one of them, None when it has gone."""
        self.fresh_s, self.max_age_s = fresh_s, max_age_s
        self.failures = 0
        self._list_etags, self._read = list_etags, read
        self._known: dict[str, Known[Document]] = {}
        self._etags: Mapping[str, str] = {}
        self._absent: OrderedDict[str, float] = OrderedDict()
        # When a listing was last asked for, begun, and (one that succeeded) begun and ended.
        self._asked_at = self._tried_at = self._listed_from = self._listed_at = float("-inf")
        self._logged_at = float("-inf")
        self._asking: dict[tuple[str, str], Future[Any]] = {}
        self._lock = Lock()
        self._aside, self._first = DaemonPool(READERS, "keys"), DaemonPool(FIRST_READERS, "first keys")

    # -- what requests ask ------------------------------------------------------------------------------------------

    def peek(self, id_: str) -> Document | None:
        """Returns what is known of an id without asking; None when it was never seen, or too long ago.

        None also when it is known to have changed and cannot be read: most keys change once, when they are revoked.
        """
        known = self._known.get(id_)
        if known is None or clock.monotonic() - known.at > self.max_age_s or self._is_unread(id_, known):
            return None
        return known.document

    def _is_unread(self, id_: str, known: Known[Document]) -> bool:
        changed = self._etags.get(id_, known.etag) != known.etag
        return changed and clock.monotonic() - known.at > self.fresh_s + OVERDUE_S

    async def find(self, id_: str) -> Document | None:
        """Returns the document of an id, from memory unless it was never seen; None when there is none.

        Refused (503) when the store does not say in time.
        """
        self.refresh_soon()
        if (document := self.peek(id_)) is not None:
            return document
        now = clock.monotonic()
        if now - self._absent.get(id_, float("-inf")) < self.fresh_s:
            return None
        return await self._wait(self._look_first(id_, now))

    async def ask(self, id_: str, function: Callable[[], Document]) -> Document:
        """Runs a call of the store about an id, and keeps what it returns. Refused (503) when it takes too long."""
        document = await self._wait(_follow(self._share(self._first, id_, function)))
        self.note(id_, document)
        return document

    def note(self, id_: str, document: Document) -> None:
        """Keeps a document that was just read or written."""
        self._absent.pop(id_, None)
        self._known[id_] = Known(document, "", clock.monotonic())

    def forget(self, id_: str) -> None:
        """Drops an id: it was changed here, and is looked up anew."""
        self._known.pop(id_, None)
        self._absent.pop(id_, None)

    async def _look_first(self, id_: str, moment: float) -> Document | None:
        while self._listed_from < moment:  # an earlier listing may lack a key that was made just now
            await _follow(self._share(self._aside, LISTING, self._list))
        if id_ in self._etags:
            return self.peek(id_) or await _follow(self._share(self._first, id_, partial(self._load, id_)))
        self._absent[id_] = clock.monotonic()
        while len(self._absent) > MOST_ABSENT:
            self._absent.popitem(last=False)
        return None

    async def _wait(self, answer: Any) -> Any:
        try:
            async with asyncio.timeout(WAIT_S):
                return await answer
        except Exception as error:  # whatever the store does; the log says what, the caller learns no names
            self._log_failure(error)
            raise Refused(503, "keys_unavailable", "whether this key works cannot be said now: the store does not "
                          "answer. Try again later.", {"Retry-After": "2"}) from None

    def _log_failure(self, error: Exception) -> None:
        """Logs at most one failure a second, however many ids somebody tries."""
        now = clock.monotonic()
        if now - self._logged_at >= 1:
            self._logged_at = now
            log_event("key not looked up", logging.WARNING, error=f"{type(error).__name__}: {error}")

    # -- in the background ------------------------------------------------------------------------------------------

    def refresh_soon(self) -> None:
        """Asks the store in the background what has changed, unless that was done within `fresh_s` or is under way."""
        if clock.monotonic() - self._asked_at >= self.fresh_s:
            self._share(self._aside, LISTING, self._list)

    async def keep_fresh(self) -> None:
        """Refreshes for as long as it runs, so that a key that is rarely used ends in time, too."""
        while True:
            self.refresh_soon()
            await asyncio.sleep(max(self.fresh_s, LISTING_PAUSE_S) * 0.25)

    def _share(self, pool: DaemonPool, id_: str, function: Callable[[], Any]) -> Future[Any]:
        """Runs a call in a pool; who asks the same meanwhile shares its answer."""
        name = (pool.name, id_)
        with self._lock:
            if (running := self._asking.get(name)) is not None:
                return running
            if id_ == LISTING:
                self._asked_at = clock.monotonic()
            future = self._asking[name] = pool.submit(function)
        future.add_done_callback(lambda _: self._asking.pop(name, None))
        return future

    def _list(self) -> None:
        time.sleep(max(self._tried_at + LISTING_PAUSE_S - clock.monotonic(), 0))
        self._tried_at = began = clock.monotonic()
        try:
            etags = self._list_etags()
        except Exception as error:
            self.failures += 1
            if self.failures == 1:
                log_event("keys not refreshed", logging.WARNING, error=f"{type(error).__name__}: {error}")
            raise
        if self.failures:
            log_event("keys refreshed again", failures=self.failures)
        self.failures = 0
        self._confirm(etags, began)
        for id_ in etags:
            if (known := self._known.get(id_)) is None or known.etag != etags[id_]:
                self._share(self._aside, id_, partial(self._load, id_))

    def _confirm(self, etags: Mapping[str, str], began: float) -> None:
        """Takes over a listing: what it shows unchanged is current, what it lacks has gone."""
        for id_, known in list(self._known.items()):
            if etags.get(id_) == known.etag:
                self._known[id_] = Known(known.document, known.etag, began)
            elif id_ not in etags and known.at < began:
                self._known.pop(id_, None)
        self._etags, self._listed_from, self._listed_at = etags, began, clock.monotonic()

    def _load(self, id_: str) -> Document | None:
        etag, began = self._etags.get(id_, ""), clock.monotonic()
        document = self._read(id_)
        if document is None:
            self._known.pop(id_, None)
        else:  # if it changed meanwhile, the next listing shows another etag
            self._known[id_] = Known(document, etag, began)
        return document

    # -- what operators ask -----------------------------------------------------------------------------------------

    def measure_age(self) -> float | None:
        """Returns how many seconds ago the store last said which keys there are; None when it never did."""
        return clock.monotonic() - self._listed_at if self._listed_at > float("-inf") else None

    def explain(self) -> str | None:
        """Says why keys may be out of date; None while they are current."""
        age = self.measure_age()
        if age is not None and age <= self.fresh_s + OVERDUE_S:
            unread = sum(self._is_unread(id_, known) for id_, known in list(self._known.items()))
            return f"{write_count(unread, 'changed key')} cannot be read" if unread else None
        return "the keys were never read: the store does not answer" if age is None else (
            f"the store has not said for {age:.0f} s which keys there are; those known are accepted for "
            f"{self.max_age_s:g} s")


async def _follow(future: Future[Any]) -> Any:
    """Waits for a call that others may wait for, too: who gives up must not cancel it for them."""
    wrapped = asyncio.wrap_future(future)
    wrapped.add_done_callback(lambda done: done.cancelled() or done.exception())  # who gave up does not ask how it ended
    return await asyncio.shield(wrapped)
