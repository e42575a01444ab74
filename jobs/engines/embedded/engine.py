"""The embedded engine: DuckDB over the Parquet files of a folder or a bucket. The default; needs no Java, no cluster.

Counts several days at a time, one thread each, because a row group of a million rows is read by one thread anyway; day.py
counts one. This is the only file that imports duckdb.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pyarrow as pa

from contract.counts import DayCounts
from contract.errors import ForeignSchema
from contract.stores.store import Storage
from jobs.engines.day_files import find_unreadable
from jobs.engines.embedded import sql
from jobs.engines.embedded.connection import Connection
from jobs.engines.embedded.day import Day
from jobs.engines.prefetch import prefetch
from jobs.engines.question import DayFiles, Question

MOST_WORKERS = 8  # days in memory at once
MEMORY_SHARE = 0.6  # of the machine, for all workers together
HASH = "hash(id)"  # the key that rows of one id share


def count(storage: Storage, days: Sequence[DayFiles], question: Question,
          progress: Callable[[str], None] | None = None) -> Iterator[DayCounts]:
    """Counts each day, in the order of `days`.

    Raises Mismatch when a file holds other than the rows its footer promises, ForeignSchema when one cannot be read.
    """
    cores = len(os.sched_getaffinity(0))
    workers = max(1, min(cores, len(days), MOST_WORKERS))
    memory = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE)
    # A query runs in its caller's thread and in what threads the database has besides: none while all cores count days.
    # What was read of a day's files is of no use for the next day's.
    config = {"threads": cores - workers + 1, "memory_limit": f"{memory >> 20}MiB", "enable_external_file_cache": False}
    with (tempfile.TemporaryDirectory(prefix="trueup-spill-") as spill,
          _duckdb().connect(config=config | {"temp_directory": spill}) as db, ThreadPoolExecutor(workers) as pool):
        _import_before_threads(db)
        for counts in prefetch(pool, lambda day: _count_day(db, storage, day, question), days, workers + 1):
            if progress:
                progress(counts.day)
            yield counts


def _count_day(db: Connection, storage: Storage, day: DayFiles, question: Question) -> DayCounts:
    """Counts one day; ForeignSchema when one of its files cannot be read through."""
    try:
        counts = Day(db, storage, day, question, HASH).count()
        if counts is None:  # two ids with one hash: rows meet by numbers given to the ids then, slower
            counts = Day(db, storage, day, question, sql.NUMBER_OF_ID).count()
    except (_duckdb().Error, OSError, pa.ArrowException) as error:
        reasons = list(find_unreadable(storage, [day]).values())
        if reasons:
            raise ForeignSchema(reasons[0]) from error
        raise
    assert counts is not None, "ids have numbers of their own"
    return counts


def _import_before_threads(db: Connection) -> None:
    """Makes DuckDB import, now, the Python modules that it hands data to.

    It does so at their first use under a lock of its own: two threads that do so at once wait for each other for ever
    (seen; "numpy import multithreading" among its known issues).
    """
    import pyarrow.dataset as ds
    import pyarrow.parquet  # noqa: F401  what words are read by

    db.register("ready", ds.dataset(pa.table({"a": np.arange(2)})))
    db.sql("SELECT a, 'b' AS b FROM ready").to_arrow_table()
    db.execute("SELECT a, 'b' AS b FROM ready LIMIT ?", [2]).fetchall()


def _duckdb() -> ModuleType:
    import duckdb

    return duckdb
