"""The embedded engine: DuckDB over the Parquet files of a folder or a bucket. The default; needs no Java, no cluster.

Counts several days at a time, one thread each, because a row group of a million rows is read by one thread anyway; day.py
counts one. This is the only file that imports duckdb.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType
from typing import TypeVar

import numpy as np
import pyarrow as pa

from contract.counts import DayCounts
from contract.errors import ForeignSchema
from contract.rows.items import DayItems
from contract.stores.store import Storage
from jobs.engines.day_files import find_unreadable
from jobs.engines.embedded import sql
from jobs.engines.embedded.connection import Connection
from jobs.engines.embedded.day import Day
from jobs.engines.prefetch import prefetch
from jobs.engines.question import ITEM_COLUMNS, DayFiles, Question

MOST_WORKERS = 8  # days in memory at once
MEMORY_SHARE = 0.6  # of the machine, for all workers together
HASH = "hash(id)"  # the key that rows of one id share
Made = TypeVar("Made", DayCounts, DayItems)


def count(storage: Storage, days: Sequence[DayFiles], question: Question) -> Iterator[DayCounts]:
    """Counts each day, in the order of `days`.

    Raises Mismatch when a file holds other than the rows its footer promises, ForeignSchema when one cannot be read.
    """
    return _make_days(storage, days, question, Day.count)


def list_items(storage: Storage, days: Sequence[DayFiles], question: Question) -> Iterator[DayItems]:
    """Lists the items of each day, in the order of `days`, whose footers were read with ITEM_COLUMNS; raises as `count`."""
    return _make_days(storage, days, replace(question, slices=ITEM_COLUMNS), Day.list_items)


def _make_days(storage: Storage, days: Sequence[DayFiles], question: Question,
               make: Callable[[Day], Made | None]) -> Iterator[Made]:
    """Makes counts, or items, of each day."""
    cores = len(os.sched_getaffinity(0))
    workers = max(1, min(cores, len(days), MOST_WORKERS))
    memory = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE)
    # A query runs in its caller's thread and in the threads that the database has beside it: none while all cores count
    # days. What is cached of one day's files is of no use for the next day.
    config = {"threads": cores - workers + 1, "memory_limit": f"{memory >> 20}MiB", "enable_external_file_cache": False}
    with (tempfile.TemporaryDirectory(prefix="trueup-spill-") as spill,
          _duckdb().connect(config=config | {"temp_directory": spill}) as db, ThreadPoolExecutor(workers) as pool):
        _import_before_threads(db)
        yield from prefetch(pool, lambda day: _make_day(db, storage, day, question, make), days, workers + 1)


def _make_day(db: Connection, storage: Storage, day: DayFiles, question: Question,
              make: Callable[[Day], Made | None]) -> Made:
    """Makes what is wanted of one day; ForeignSchema when one of its files cannot be read through."""
    try:
        made = make(Day(db, storage, day, question, HASH))
        if made is None:  # two ids have one hash: join by numbers given to the ids instead, which is slower
            made = make(Day(db, storage, day, question, sql.NUMBER_OF_ID))
    except (_duckdb().Error, OSError, pa.ArrowException) as error:
        reasons = list(find_unreadable(storage, [day]).values())
        if reasons:
            raise ForeignSchema(reasons[0]) from error
        raise
    assert made is not None, "ids have numbers of their own"
    return made


def _import_before_threads(db: Connection) -> None:
    """Makes DuckDB import, before threads start, the Python modules that it exchanges data with.

    It imports them at their first use, under a lock of its own: two threads that do so at once deadlock ("numpy import
    multithreading" among DuckDB's known issues).
    """
    import pyarrow.dataset as ds
    import pyarrow.parquet  # noqa: F401  which reads the texts

    db.register("ready", ds.dataset(pa.table({"a": np.arange(2)})))
    db.sql("SELECT a, 'b' AS b FROM ready").to_arrow_table()
    db.execute("SELECT a, 'b' AS b FROM ready LIMIT ?", [2]).fetchall()


def _duckdb() -> ModuleType:
    import duckdb

    return duckdb
