"""The embedded engine: DuckDB over the Parquet files of a folder or a bucket. The default; needs no Java, no cluster.

Days stand side by side, one thread each, because a row group of a million rows is read by one thread anyway. The rules
are in `embedded_sql.py`. This is the only file that imports duckdb.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from contract.counts import ROWS, TABLES, DayCounts, canonical, empty_tables
from contract.errors import ForeignSchema, Mismatch
from contract.storage import Storage
from jobs.engines import embedded_sql as sql
from jobs.engines.embedded_files import Sources
from jobs.engines.embedded_slices import slice_table
from jobs.engines.question import DayFiles, Question
from jobs.files import unreadable

MOST_WORKERS = 8  # days in memory at once
MEMORY_SHARE = 0.6  # of the machine, for all workers together
HASH = "hash(id)"  # how rows meet


def count(storage: Storage, days: Sequence[DayFiles], question: Question,
          progress: Callable[[str], None] | None = None) -> Iterator[DayCounts]:
    """The counts of each day, in the order of `days`.

    Raises Mismatch when a file holds other than the rows its footer promises, ForeignSchema when one cannot be read.
    """
    _import_before_threads()
    cores = len(os.sched_getaffinity(0))
    workers = max(1, min(cores, len(days), MOST_WORKERS))
    with tempfile.TemporaryDirectory(prefix="trueup-spill-") as spill, ThreadPoolExecutor(workers) as pool:
        memory = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE / workers)
        config = {"threads": max(1, cores // workers), "memory_limit": f"{memory >> 20}MiB", "temp_directory": spill}
        for counts in pool.map(lambda day: count_day(storage, day, question, config), days):
            if progress:
                progress(counts.day)
            yield counts


def count_day(storage: Storage, day: DayFiles, question: Question, config: dict[str, Any] | None = None) -> DayCounts:
    """The counts of one day."""
    try:
        counts = _Day(storage, day, question, config or {}, HASH).count()
        # Two ids with one hash: rows meet by the ids themselves then, slower.
        return counts or _Day(storage, day, question, config or {}, "id").count()
    except _duckdb().Error as error:
        reasons = list(unreadable(storage, [day]).values())
        if reasons:
            raise ForeignSchema(reasons[0]) from error
        raise


def _import_before_threads() -> None:
    """DuckDB imports the Python modules that it hands data to at their first use, under a lock of its own: two threads
    that do so at once wait for each other for ever (seen; "numpy import multithreading" among its known issues)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.dataset as ds

    with _duckdb().connect() as db:
        db.register("ready", ds.dataset(pa.table({"a": pa.array(np.arange(2))})))
        db.sql("SELECT a, 'b' AS b FROM ready").to_arrow_table()
        for fetch in ("fetchnumpy", "fetchall"):
            getattr(db.execute("SELECT a, 'b' AS b FROM ready LIMIT ?", [2]), fetch)()


def _duckdb() -> Any:
    import duckdb

    return duckdb


class _Day:
    """One day in a database of its own; `key` is how rows meet: `hash(id)`, or `id`."""

    def __init__(self, storage: Storage, day: DayFiles, question: Question, config: dict[str, Any], key: str) -> None:
        self.day, self.question, self.key = day, question, key
        self.db = _duckdb().connect(config=config)
        self.db.execute("SET TimeZone = 'UTC'")
        self.sources = Sources(self.db, storage, day, question.slices)
        self.present = self.sources.present_labels()
        self.rows = dict.fromkeys(ROWS, 0)
        self.known, self.future = [], []

    def count(self) -> DayCounts | None:
        """The day's counts, or None when two ids share a hash."""
        with self.db:
            if not self.day.predictions and not self.day.labels:
                return DayCounts(self.day.day, empty_tables(), self.rows)
            self._words()
            self._labels()
            self._predictions()
            if self._one(sql.SHARED_HASHES) or self._one("SELECT count(*) FROM joined WHERE mixed"):
                return None
            self._endings()
            return DayCounts(self.day.day, self._tables(), self.rows, max(self.known, default=0),
                             min(self.future, default=None))

    def _words(self) -> None:
        """Type `word`: numbers instead of texts, where looking for them first costs little."""
        few = self.sources.are_plain
        if few:
            found = self._one(sql.words(self.sources.predictions(), self.sources.labels()))
            few = 0 < found <= sql.MOST_WORDS
        self.db.execute(sql.WORD_AS_NUMBER if few else sql.WORD_AS_TEXT)

    def _labels(self) -> None:
        """Rules 3 and 4 for the odd ids, as if each had a prediction."""
        present = self.present
        read = self._one(sql.labels(self.sources.labels(), self.question, self.day.day, self.key, present))
        self._promised(read, self.day.labels)
        self.db.execute("CREATE TEMP TABLE weights (who VARCHAR, w BIGINT)")
        if self.question.labeler_weights:
            self.db.executemany("INSERT INTO weights VALUES (?, ?)", list(self.question.labeler_weights.items()))
        for step in (sql.with_absent(present), sql.SEVERAL, sql.ODD, sql.DUPLICATES, sql.SUPERSEDED):
            self.db.execute(step)
        self.db.execute(sql.votes(one_class="origin" not in present))
        self.db.execute(sql.TALLY)
        self.db.execute(sql.resolved("probability" in present))

    def _predictions(self) -> None:
        """Rule 2, and each prediction beside its consensus."""
        rows = sql.rows_to_join(self.sources.predictions(), self.question, self.day.day, self.key)
        ranked, extra = self.sources.has_top, self.sources.slice_columns
        read = self._one("CREATE TEMP TABLE joined_rows AS " + sql.joined(rows, extra, self.present, ranked))
        self._promised(read, self.day.predictions)
        twice = self._states()
        if len(twice):
            self._duplicates(twice, sql.joined("SELECT * FROM repeated WHERE place = 1", extra, self.present, ranked))
        self.db.execute(sql.joined_view(self.present, ranked))
        self.db.execute(sql.OUR_ODD)
        self.db.execute(sql.OUR_VOTES)

    def _states(self) -> Any:
        """Counts the rows by state; gives the hashes that several distinct or duplicate rows share."""
        import numpy as np

        seen = self.db.execute("SELECT h, state, ours, greatest(p_t, p_recorded) AS known FROM joined_rows").fetchnumpy()
        h, state, ours, known = (np.ma.getdata(seen[n]) for n in ("h", "state", "ours", "known"))
        self.rows["predictions"] = int((ours & (state != sql.OTHER_ROLE)).sum())
        for name, value in (("invalid", sql.INVALID), ("misfiled", sql.MISFILED), ("future", sql.FUTURE)):
            self.rows[f"{name}_predictions"] = int((ours & (state == value)).sum())
        late, early = known[state == sql.FUTURE], known[state == sql.OK]
        self.known += [int(early.max())] if len(early) else []
        self.future += [int(late.min())] if len(late) else []
        return _repeated(h[state == sql.OK])

    def _duplicates(self, twice: Any, joined: str) -> None:
        """Puts the first row of each repeated id in the place of them all."""
        import pyarrow as pa

        self.db.register("repeated_hashes", pa.table({"h": pa.array(twice)}))
        self.db.execute("CREATE TEMP TABLE twice AS SELECT h FROM repeated_hashes")
        rows = sql.rows_to_join(self.sources.predictions(ties=True), self.question, self.day.day, self.key)
        self.db.execute(sql.repeated_predictions(rows, self.sources.prediction_order))
        self.rows["duplicate_predictions"] = self._one("SELECT count(*) FROM repeated WHERE place > 1 AND ours")
        self.db.execute(f"DELETE FROM joined_rows WHERE state = {sql.OK} AND h IN (SELECT h FROM twice)")
        self.db.execute("INSERT INTO joined_rows " + joined)

    def _endings(self) -> None:
        """Rule 3 added up: other models' and orphans by what the join found."""
        odd, ours = self._ended("true"), self._ended("h IN (SELECT h FROM our_odd)")
        others = self._ended("h IN (SELECT h FROM joined WHERE odd AND NOT ours)")
        total, with_id = self._row("SELECT count(*), count(id) FROM l")
        simple, without_id = with_id - odd["rows"], total - with_id
        our_simple, other_simple = self._row("SELECT count(*) FILTER (ours), count(*) FILTER (NOT ours) FROM joined "
                                             "WHERE odd = false")
        rows = self.rows
        rows["other_model"] = others["rows"] + other_simple
        rows["labels"] = total - rows["other_model"]
        for name in ("invalid", "misfiled", "future", "duplicate"):
            rows[name] = odd[name] - others[name] + (without_id if name == "invalid" else 0)
        for name in ("superseded", "withdrawn", "vote"):
            rows[name] = ours[name] + (our_simple if name == "vote" else 0)
        rows["orphan"] = simple - our_simple - other_simple + sum(
            odd[n] - ours[n] - others[n] for n in ("superseded", "withdrawn", "vote"))
        self._label_times(bool(rows["other_model"]))

    def _ended(self, which: str) -> dict[str, int]:
        return dict(zip(sql.ENDINGS, self._row(sql.endings(which)), strict=True))

    def _label_times(self, others: bool) -> None:
        mine = "h NOT IN (SELECT h FROM joined WHERE NOT ours)" if others else "true"
        last, first = self._row(f"""SELECT max(known) FILTER (state = {sql.OK}), min(known) FILTER (state = {sql.FUTURE})
            FROM (SELECT greatest(t, recorded) AS known, state FROM l WHERE state IN ({sql.OK}, {sql.FUTURE}) AND {mine})""")
        self.known += [] if last is None else [last]
        self.future += [] if first is None else [first]

    def _tables(self) -> dict[str, Any]:
        made = empty_tables() | {name: canonical(name, self._arrow(statement)) for name, statement in (
            ("cells", sql.CELLS), ("people", sql.PEOPLE), ("coincidences", sql.COINCIDENCES), ("delays", sql.DELAYS))}
        if self.question.slices:
            import pyarrow as pa

            parts = [self._arrow(slice_table(s)) for s in self.question.slices]
            schema = TABLES["slices"].arrow()
            made["slices"] = canonical("slices", pa.concat_tables([p.cast(schema) for p in parts]))
        return made

    def _promised(self, read: int, files: Sequence[Any]) -> None:
        promised = sum(f.rows for f in files)
        if read != promised:
            names = ", ".join(Path(f.key).name for f in files)
            raise Mismatch(f"{self.day.day}: expected {promised} rows by the footers of {names}, read {read}. "
                           f"A file changed while it was read: start again.")

    def _arrow(self, statement: str) -> Any:
        return self.db.sql(statement).to_arrow_table()

    def _row(self, statement: str, *values: Any) -> tuple:
        return self.db.execute(statement, values).fetchall()[0]

    def _one(self, statement: str, *values: Any) -> Any:
        return self._row(statement, *values)[0]


def _repeated(keys: Any) -> Any:
    """The values that stand in `keys` more than once; sorting numbers is several times faster than grouping them."""
    import numpy as np

    if not len(keys):
        return keys
    keys = np.sort(keys)
    return np.unique(keys[1:][keys[1:] == keys[:-1]])
