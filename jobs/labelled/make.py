"""The items of a window of days: stored ones are taken, an engine makes the others."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module

from command.progress import progress
from contract import clock
from contract.rows.items import ItemsDocument, find_items, write_items
from contract.rows.models import require_model
from contract.stores.store import Storage
from jobs.engines import day_files
from jobs.engines.question import ITEM_COLUMNS, DayFiles
from jobs.evaluation_request import ENGINES, Request

READS_AT_ONCE = 16


@dataclass
class Listed:
    """The documents of a window by day, those of them that were made now, days without rows any more, files left out."""

    window: day_files.Window
    documents: dict[str, ItemsDocument] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def list_window(storage: Storage, request: Request) -> Listed:
    """Finds or makes the items of each day of a window, as they were known at the question's `as_of`.

    Their names are those of the counts of the same days (`Question.inputs`). A day whose rows expired has none. Raises
    ForeignSchema for a file that cannot be read, unless the request puts such files aside.
    """
    question = request.question
    require_model(storage, question.model)
    until = clock.day_of(clock.from_us(question.as_of))
    listed = Listed(day_files.choose_window(storage, request.first, request.last, until, request.days))
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        days = list(pool.map(lambda day: day_files.list_day(storage, day), listed.window.days))
        listed.expired = [day.day for day in days if day.expired]
        missing = _take_stored(storage, request, [day for day in days if not day.expired], listed, pool)
        whole, listed.left_out = day_files.read_footers(storage, missing, ITEM_COLUMNS, request.quarantine)
        if listed.left_out:  # a day without these files may have items already
            whole = _take_stored(storage, request, whole, listed, pool)
    _make_missing(storage, request, whole, listed)
    return listed


def _take_stored(storage: Storage, request: Request, days: Sequence[DayFiles], listed: Listed,
                 pool: ThreadPoolExecutor) -> list[DayFiles]:
    """Takes the items that are good; returns the days that have none."""
    question, missing = request.question, []
    found = pool.map(lambda d: find_items(storage, question.model, d.day, question.inputs(d), question.as_of), days)
    for day, document in zip(days, found, strict=True):
        if document:
            listed.documents[day.day] = document
        else:
            missing.append(day)
    return missing


def _make_missing(storage: Storage, request: Request, days: Sequence[DayFiles], listed: Listed) -> None:
    """Makes and writes the items of these days, one by one as the engine hands them over."""
    if not days:
        return
    question, engine = request.question, import_module(ENGINES[request.engine])
    with progress(f"items ({request.engine})", len(days), "days") as shown:
        for day, made in zip(days, engine.list_items(storage, days, question, **request.options), strict=True):
            document = ItemsDocument.of(made, model=question.model, role=question.role, inputs=question.inputs(day),
                                        files=day.fingerprint(), consensus=question.consensus)
            listed.documents[day.day] = write_items(storage, document, made)
            listed.made.append(day.day)
            shown.advance(day=day.day)
