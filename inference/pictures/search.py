"""Looks for a page of rows: days in the question's order, as few as fill it, for about a second.

    found = Search(storage, settings).find(question, wanted=60, hides_audits=True)

A question by time stops at the day that fills its page. What is not read within the time is named, and made in the
background, so that the next look finds more.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contract import clock, ids
from contract.days import prediction_days
from contract.rows.items import list_erased
from contract.settings import Settings
from contract.stores.store import Storage
from inference.daemon_pool import DaemonPool
from inference.pictures.kept_days import KeptDays
from inference.pictures.labels import DayLabels, Labels
from inference.pictures.matching import Matches, find_named, match_items, match_predictions
from inference.pictures.open_audits import OpenAudits
from inference.pictures.question import Place, Question

BUDGET_S = 0.8
LISTED_S = 5.0
AT_ONCE = (1, 1, 2, 4, 8)  # days that are read side by side: few, as long as the page may be full after them


@dataclass
class Found:
    """A page: its rows, whether more follow, how many passed on the days that were read, and what is missing.

    A row: day, prediction_id, place, version, predicted, confidence, image_sha256, stored, item (the item's columns, or None),
    joined (whether what people said of it by now is known).
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    more: bool = False
    count: int = 0
    hidden: int = 0  # rows that wait for a blind audit, passed over on the way
    days: list[str] = field(default_factory=list)  # read
    unread: list[str] = field(default_factory=list)  # for which the time did not suffice
    unjoined: list[str] = field(default_factory=list)  # read, and not all labels are joined with their predictions
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Day:
    matches: Matches | None
    labels: DayLabels


class Search:
    """Finds rows under one root. Methods read the store, so callers on an event loop use threads."""

    def __init__(self, storage: Storage, settings: Settings, kept: KeptDays | None = None) -> None:
        self.storage = storage
        self.kept = kept or KeptDays(storage, settings.evaluate.roles)
        self.labels = Labels(storage)
        self.audits = OpenAudits(storage, settings.serve.label_days)
        self._behind = DaemonPool(1, "pictures")
        self._being_made: set[str] = set()
        self._days: tuple[float, list[str]] | None = None
        self._erased: tuple[float, set[str]] | None = None

    def list_days(self, question: Question) -> list[str]:
        """Lists the days that a question is about, in its order."""
        now = clock.monotonic()
        if self._days is None or now - self._days[0] > LISTED_S:
            self._days = now, prediction_days(self.storage)
        first, last = question.filters.get("from", ""), question.filters.get("to", "9999")
        own = ids.day_of(question.filters.get("prediction_id"))
        days = [d for d in self._days[1] if first <= d <= last and own in (None, d)]
        place = question.after if question.by_time else None
        if question.sort == "oldest":
            return [d for d in days if place is None or d >= place.day]
        return [d for d in reversed(days) if place is None or d <= place.day]

    def list_erased(self) -> set[str]:
        """Lists the hashes of erased pictures, as they were at most LISTED_S ago."""
        now = clock.monotonic()
        if self._erased is None or now - self._erased[0] > LISTED_S:
            self._erased = now, list_erased(self.storage)
        return self._erased[1]

    def find(self, question: Question, wanted: int, hides_audits: bool, budget_s: float = BUDGET_S,
             makes_rest: bool = True) -> Found:
        """Finds the first `wanted` rows after the question's place.

        `hides_audits`: leaves out what waits for a blind audit. At least one day is read, however long it takes; `makes_rest`:
        the tables of those for which there was no time are made in the background.
        """
        found, began, best = Found(), clock.monotonic(), []
        days = self.list_days(question)
        for together in _group(days):
            if found.days and clock.monotonic() - began > budget_s:
                break
            for day, read in self._read_all(question, together):
                found.days.append(day)
                best += self._take(question, day, read, found, wanted + 1, hides_audits)
            if question.by_time and len(best) > wanted:
                break
            if not question.by_time:
                best = _keep_first(best, wanted + 1, question)
        found.unread = [] if question.by_time and len(best) > wanted else days[len(found.days):]
        found.rows, found.more = best[:wanted], len(best) > wanted
        self._make_behind(question, found.unread if makes_rest else [])
        return found

    def read_named(self, model: str, day: str, names: list[str], hides_audits: bool) -> list[dict[str, Any]]:
        """Reads the rows of a day with these prediction ids; what waits for a blind audit only where it may be shown."""
        labels, table = self.read_labels(model, day), self.kept.read(day)
        matches = match_predictions(day, table, Question(model), labels)
        at = np.intersect1d(matches.positions, find_named(table, names)).tolist()
        rows = describe_rows(matches, at, labels)
        return [row for row in rows if not (hides_audits and self.audits.is_open(model, day, row))]

    def read_labels(self, model: str, day: str) -> DayLabels:
        """Reads what people said on a day."""
        return self.labels.read(model, self.kept.list(day))

    def _read_all(self, question: Question, days: list[str]) -> Iterator[tuple[str, _Day]]:
        if len(days) == 1:
            yield days[0], self._read_day(question, days[0])
            return
        with ThreadPoolExecutor(len(days)) as pool:
            yield from zip(days, pool.map(lambda day: self._read_day(question, day), days), strict=True)

    def _read_day(self, question: Question, day: str) -> _Day:
        labels = self.read_labels(question.model, day)
        if question.wants_label:
            if labels.table is None:
                return _Day(None, labels)
            predictions = self.kept.read(day) if question.attributes and len(labels.table) else None
            return _Day(match_items(day, labels.table, question, predictions), labels)
        if question.filters.get("verdict") == "unlabelled" and labels.table is None:
            return _Day(None, labels)
        return _Day(match_predictions(day, self.kept.read(day), question, labels), labels)

    def _take(self, question: Question, day: str, read: _Day, found: Found, wanted: int,
              hides_audits: bool) -> list[dict[str, Any]]:
        """Takes the first rows of a day, and notes what is to be said of it."""
        if not read.labels.fresh:
            found.unjoined.append(day)
        found.unreadable += self.kept.unreadable.get(day, [])
        if read.matches is None:
            return []
        found.count += len(read.matches.positions)
        rows: list[dict[str, Any]] = []
        for positions in _batch(read.matches.in_order(question, wanted), wanted):
            for row in describe_rows(read.matches, positions, read.labels):
                if hides_audits and self.audits.is_open(question.model, day, row):
                    found.hidden += 1
                elif len(rows) < wanted:
                    rows.append(row)
            if len(rows) >= wanted:
                break
        return rows

    def _make_behind(self, question: Question, days: list[str]) -> None:
        """Makes the tables of days that were not read, one after the other; labelled rows need none."""
        for day in days if not question.wants_label or question.attributes else ():
            if day not in self._being_made:
                self._being_made.add(day)
                self._behind.submit(self._make, day)

    def _make(self, day: str) -> None:
        try:
            if not self.kept.is_kept(day):
                self.kept.read(day)
        finally:
            self._being_made.discard(day)


def describe_rows(matches: Matches, positions: list[int], labels: DayLabels) -> list[dict[str, Any]]:
    """Describes rows as `Found` has them."""
    import pyarrow.compute as pc

    taken = matches.table.take(positions)
    items = dict.fromkeys(range(len(positions)))
    if labels.table is not None and len(labels.table):
        at = pc.index_in(taken["prediction_id"], labels.table["prediction_id"].combine_chunks()).to_pylist()
        there = [(n, i) for n, i in enumerate(at) if i is not None]
        said = labels.table.take(np.asarray([i for _, i in there], np.int64)).to_pylist()
        items |= zip((n for n, _ in there), said, strict=True)
    is_item = "votes" in taken.column_names
    named = {"version": "model_version", "predicted": "predicted" if is_item else "predicted_label",
             "confidence": "confidence", "image_sha256": "image_sha256", "prediction_id": "prediction_id"}
    columns = {name: taken[column].to_pylist() for name, column in named.items()}
    stored = (pc.is_valid(taken["image_uri"]) if is_item else taken["stored"]).to_pylist()
    return [{"day": matches.day, "place": Place(matches.day, float(matches.numbers[p]), columns["prediction_id"][n]),
             "stored": stored[n], "item": items[n], "joined": labels.table is not None,
             **{name: values[n] for name, values in columns.items()}} for n, p in enumerate(positions)]


def _keep_first(rows: list[dict[str, Any]], wanted: int, question: Question) -> list[dict[str, Any]]:
    choose = heapq.nsmallest if question.ascending else heapq.nlargest
    return choose(wanted, rows, key=lambda r: (r["place"].number, r["place"].day, r["place"].prediction_id))


def _group(days: list[str]) -> Iterator[list[str]]:
    at, step = 0, 0
    while at < len(days):
        size = AT_ONCE[min(step, len(AT_ONCE) - 1)]
        yield days[at:at + size]
        at, step = at + size, step + 1


def _batch(positions: Iterator[int], size: int) -> Iterator[list[int]]:
    from itertools import islice

    while batch := list(islice(positions, size)):
        yield batch
