"""The Spark engine: tasks that count a day each, on columns; no Python code runs row by row.

Under spark-submit it uses the user's session and cluster, elsewhere Spark on this machine (jvm/session.py). tasks.py gives
each day to a task, or the ids of a big one to many, and day.py counts there, on Arrow's columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from contract.counts import ROWS, DayCounts
from contract.errors import Mismatch
from contract.rows.items import DayItems
from contract.stores.store import Storage
from jobs.engines.question import ITEM_COLUMNS, DayFiles, Question
from jobs.engines.spark import tasks
from jobs.engines.spark.day import PartCounts
from jobs.engines.spark.items import ITEMS
from jvm import session


def count(storage: Storage, days: Sequence[DayFiles], question: Question, *,
          spark_conf: Mapping[str, str] | None = None) -> Iterator[DayCounts]:
    """Counts each day. `spark_conf`: Spark settings passed through. Raises Mismatch when rows are missing."""
    if not days:
        return
    hands_out = all(tasks.count_values(day) <= tasks.MOST_HERE for day in days)
    spark = session.get_session(spark_conf, hands_out=hands_out)
    with closing(tasks.count_days(spark, storage, days, question)) as made:
        for day in days:
            yield check_day(day, next(made))  # no name holds a day beside the next


def list_items(storage: Storage, days: Sequence[DayFiles], question: Question, *,
               spark_conf: Mapping[str, str] | None = None) -> Iterator[DayItems]:
    """Lists the items of each day, whose footers were read with ITEM_COLUMNS; else as `count`."""
    if not days:
        return
    hands_out = all(tasks.count_values(day) <= tasks.MOST_HERE for day in days)
    spark = session.get_session(spark_conf, hands_out=hands_out)
    with closing(tasks.count_days(spark, storage, days, replace(question, slices=ITEM_COLUMNS), ITEMS)) as made:
        for day in days:
            yield check_items(day, next(made))


def check_items(files: DayFiles, listed: PartCounts) -> DayItems:
    """Makes the items of a day from what its tasks listed; Mismatch when they read other rows than the footers promise."""
    for table, read in listed.read.items():
        _check_table(files, table, read)
    return DayItems(files.day, listed.tables["items"], max(listed.known, default=0), min(listed.future, default=None))


def check_day(files: DayFiles, counts: PartCounts) -> DayCounts:
    """Makes the counts of a day from what its tasks counted.

    Raises Mismatch when they read other than the rows the footers promise.
    """
    for table, read in counts.read.items():
        _check_table(files, table, read)
    rows = {name: counts.rows[name] for name in ROWS}
    return DayCounts(files.day, counts.tables, rows, max(counts.known, default=0), min(counts.future, default=None))


def _check_table(files: DayFiles, table: str, read: int) -> None:
    promised = sum(file.rows for file in getattr(files, table))
    if read != promised:
        raise Mismatch(f"{table} of {files.day}: expected {promised} rows by the files' footers, Spark read {read}. "
                       f"A file changed while it was read, or is damaged: start again, or use --quarantine.")
