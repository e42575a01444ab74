"""The Spark engine: tasks that count a day each; no Python touches a single row.

Under spark-submit it uses the user's session and cluster, elsewhere Spark on this machine (jvm/session.py).
`spark_tasks` gives each day to a task, or the ids of a big one to many, and `spark_piece` counts there, on Arrow's columns.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

from contract.counts import ROWS, DayCounts
from contract.errors import Mismatch
from contract.stores.store import Storage
from jobs.engines.question import DayFiles, Question
from jobs.engines.spark import tasks
from jobs.engines.spark.day import Piece
from jvm import session


def count(storage: Storage, days: Sequence[DayFiles], question: Question, progress: Callable | None = None, *,
          spark_conf: Mapping[str, str] | None = None) -> Iterator[DayCounts]:
    """The counts of each day. `spark_conf`: Spark settings passed through. Raises Mismatch when rows are missing."""
    if not days:
        return
    hands_out = all(tasks.values_of(day) <= tasks.MOST_HERE for day in days)
    with closing(tasks.pieces(session.get(spark_conf, hands_out=hands_out), storage, days, question)) as made:
        for day in days:
            yield day_counts(day, next(made))  # no name holds a day beside the next


def day_counts(files: DayFiles, piece: Piece) -> DayCounts:
    """The counts of a day from what its tasks found; Mismatch when they read other than the rows the footers promise."""
    for table, read in piece.read.items():
        _check(files, table, read)
    return DayCounts(files.day, piece.tables, {name: piece.rows[name] for name in ROWS}, max(piece.known, default=0),
                     min(piece.future, default=None))


def _check(files: DayFiles, table: str, read: int) -> None:
    promised = sum(file.rows for file in getattr(files, table))
    if read != promised:
        raise Mismatch(f"{table} of {files.day}: expected {promised} rows by the files' footers, Spark read {read}. "
                       f"A file changed while it was read, or is damaged: start again, or use --quarantine.")
