"""The embedded engine: DuckDB over the Parquet files of a folder or a bucket. The default; needs no Java, no cluster.

Days stand side by side, one thread each, because a row group of a million rows is read by one thread anyway; how one is
counted stands in `embedded_day.py`. This is the only file that imports duckdb.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from contract.counts import DayCounts
from contract.errors import ForeignSchema
from contract.stores.store import Storage
from jobs.engines.day_files import unreadable
from jobs.engines.embedded import sql
from jobs.engines.embedded.day import Day
from jobs.engines.prefetch import ahead
from jobs.engines.question import DayFiles, Question

MOST_WORKERS = 8  # days in memory at once
MEMORY_SHARE = 0.6  # of the machine, for all workers together
HASH = "hash(id)"  # how rows meet


def count(storage: Storage, days: Sequence[DayFiles], question: Question,
          progress: Callable[[str], None] | None = None) -> Iterator[DayCounts]:
    """The counts of each day, in the order of `days`.

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
        for counts in ahead(pool, lambda day: _count_day(db, storage, day, question), days, workers + 1):
            if progress:
                progress(counts.day)
            yield counts


def _count_day(db: Any, storage: Storage, day: DayFiles, question: Question) -> DayCounts:
    """The counts of one day."""
    try:
        counts = Day(db, storage, day, question, HASH).count()
        # Two ids with one hash: rows meet by numbers of the ids then, slower.
        return counts or Day(db, storage, day, question, sql.NUMBER_OF_ID).count()
    except (_duckdb().Error, *_arrows_errors()) as error:
        reasons = list(unreadable(storage, [day]).values())
        if reasons:
            raise ForeignSchema(reasons[0]) from error
        raise


def _arrows_errors() -> tuple[type[Exception], ...]:
    import pyarrow as pa

    return OSError, pa.ArrowException


def _import_before_threads(db: Any) -> None:
    """DuckDB imports the Python modules that it hands data to at their first use, under a lock of its own: two threads
    that do so at once wait for each other for ever (seen; "numpy import multithreading" among its known issues)."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet  # noqa: F401  what words are read by

    db.register("ready", ds.dataset(pa.table({"a": np.arange(2)})))
    db.sql("SELECT a, 'b' AS b FROM ready").to_arrow_table()
    db.execute("SELECT a, 'b' AS b FROM ready LIMIT ?", [2]).fetchall()


def _duckdb() -> Any:
    import duckdb

    return duckdb
