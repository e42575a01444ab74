"""One day counted over a DuckDB connection: the rules run in SQL where they need it, in numpy where they do not.

The rules are in `embedded_sql.py`; what needs no more than sorted columns is in `embedded_labels.py` and `embedded_cells.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contract.counts import ROWS, TABLES, DayCounts, canonical, empty_tables
from contract.errors import Mismatch
from contract.stores.store import Storage
from jobs.engines.embedded import sql
from jobs.engines.embedded.arrays import NULL, same_ids
from jobs.engines.embedded.cells import (
    Joined,
    PredictionRows,
    cells,
    coincidences,
    consensus_table,
    delays,
    join,
    people,
    repeated,
    sliced,
    with_weights,
)
from jobs.engines.embedded.slices import slice_table
from jobs.engines.embedded.sources import Sources
from jobs.engines.embedded.votes import LabelGroups, LabelRows, group, put_odd
from jobs.engines.question import DayFiles, Question

CHANGED = "A file changed while it was read: start again."
ONE_PIECE = 1_000_000  # rows of an Arrow table's pieces where fewer are expected


class Day:
    """One day over a connection of its own, which sees none of the other days' temporary tables; `key` is how rows meet:
    `hash(id)`, or a number given to each id."""

    def __init__(self, db: Any, storage: Storage, day: DayFiles, question: Question, key: str) -> None:
        self.day, self.question, self.key = day, question, key
        self.db = db.cursor()
        self.db.execute("SET TimeZone = 'UTC'")
        self.sources = Sources(self.db, storage, day, question.slices)
        self.present = self.sources.present_labels()
        self.coded = self.sources.are_plain  # words come as codes, beside what DuckDB reads
        self.rows = dict.fromkeys(ROWS, 0)
        self.known, self.future = [], []

    def count(self) -> DayCounts | None:
        """The day's counts, or None when two ids share a key."""
        with self.db:
            if not self.day.predictions and not self.day.labels:
                return DayCounts(self.day.day, empty_tables(), self.rows)
            if self.key == sql.NUMBER_OF_ID:
                self.db.execute(sql.one_id(self.sources.predictions(), self.sources.labels()))
            groups = self._labels()
            joined = groups and self._predictions(groups)
            if not joined:
                return None
            self._endings(joined)
            return DayCounts(self.day.day, self._tables(joined), self.rows, max(self.known, default=0),
                             min(self.future, default=None))

    def _labels(self) -> LabelGroups | None:
        """Rules 3 and 4, as if each label had a prediction."""
        statement = sql.label_rows(self.sources.labels(), self.question, self.day.day, self.key, self.present, not self.coded)
        table = self._arrow(statement, self.day.labels)
        if self.coded:
            table = self._beside(table, self.sources.coded_labels())
        self.total, self.without_id = table.num_rows, table["id"].null_count
        rows = LabelRows.of(table.filter(table["id"].is_valid()) if self.without_id else table)
        groups = group(rows, self.question.labeler_weights)
        if groups and groups.odd.any():
            self._odd(groups)
        return groups

    def _odd(self, groups: LabelGroups) -> None:
        """The full rules for the odd ids."""
        import pyarrow as pa

        self._words(groups.rows.words.words)
        self.db.register("odd_hashes", pa.table({"h": groups.key[groups.odd]}))
        self.db.execute("CREATE TEMP TABLE weights (who VARCHAR, w BIGINT)")
        if self.question.labeler_weights:
            self.db.executemany("INSERT INTO weights VALUES (?, ?)", list(self.question.labeler_weights.items()))
        for step in (sql.odd(self.sources.labels(), self.question, self.day.day, self.key), sql.DUPLICATES, sql.SUPERSEDED,
                     sql.votes(one_class="origin" not in self.present), sql.TALLY, sql.resolved("probability" in self.present)):
            self.db.execute(step)
        put_odd(groups, self._arrow("SELECT * FROM resolved ORDER BY h"))

    def _words(self, words: Any) -> None:
        """Type `word`: numbers instead of texts, where all of the day's words are known and few."""
        import pyarrow as pa

        self.db.register("words", pa.table({"word": words}))
        few = self.coded and 0 < len(words) <= sql.MOST_WORDS
        self.db.execute(sql.WORD_AS_NUMBER if few else sql.WORD_AS_TEXT)

    def _predictions(self, groups: LabelGroups) -> Joined | None:
        """Rule 2, and each prediction beside its labels; None when two ids share a key."""
        if self.sources.has_top:
            self.db.register("consensus", consensus_table(groups))
        table = self._prediction_rows()
        rows = PredictionRows.of(table)
        self._states(rows)
        order, keys, twice = repeated(rows)
        if len(twice):
            table = self._distinct(table, rows, twice)
            rows = PredictionRows.of(table)
            order, keys, twice = repeated(rows)
        joined = join(rows, order, keys, groups)
        met = np.flatnonzero(joined.row_of != NULL)
        if len(twice) or not same_ids(rows.ids, joined.row_of[met], groups.rows.ids, groups.first[met]):
            return None
        self.table = table
        return joined

    def _with_state(self, source: str) -> str:
        return sql.with_state(source, self.question, self.day.day, self.key)

    def _prediction_rows(self) -> Any:
        table = self._arrow(self._rows(self._with_state(self.sources.predictions()), not self.coded), self.day.predictions)
        if not self.coded:
            return table
        return self._beside(table, self.sources.coded_predictions())

    def _beside(self, table: Any, words: dict[str, Any]) -> Any:
        """The table with the columns of words, which were read row for row: in its order, or in that of its `row`."""
        places = table["row"] if "row" in table.column_names else None
        for name, column in words.items():
            if len(column) != table.num_rows:
                raise Mismatch(f"{self.day.day}: read {table.num_rows} rows, then {len(column)} of {name}. {CHANGED}")
            table = table.append_column(name, column if places is None else column.take(places))
        return table if places is None else table.drop_columns(["row"])

    def _rows(self, rows: str, texts: bool) -> str:
        sources = self.sources
        return sql.prediction_rows(rows, sources.slice_columns, sources.has_recorded, sources.has_top, texts)

    def _states(self, rows: PredictionRows) -> None:
        """Counts the rows by state."""
        ours, state = rows.ours, rows.state
        self.rows["predictions"] = int((ours & (state != sql.OTHER_ROLE)).sum())
        for name, value in (("invalid", sql.INVALID), ("misfiled", sql.MISFILED), ("future", sql.FUTURE)):
            self.rows[f"{name}_predictions"] = int((ours & (state == value)).sum())
        self._times(rows.known, state)

    def _times(self, known: Any, state: Any) -> None:
        early, late = known[state == sql.OK], known[state == sql.FUTURE]
        self.known += [int(early.max())] if len(early) else []
        self.future += [int(late.min())] if len(late) else []

    def _distinct(self, table: Any, rows: PredictionRows, twice: Any) -> Any:
        """The rows with the first row of each repeated id in the place of them all."""
        import pyarrow as pa

        self.db.register("twice", pa.table({"h": twice}))
        source = self._with_state(self.sources.predictions(ties=True))
        self.db.execute(sql.repeated_predictions(source, self.sources.prediction_order))
        self.rows["duplicate_predictions"] = self._one("SELECT count(*) FROM repeated WHERE place > 1 AND ours")
        kept = ~np.isin(rows.key, twice) | (rows.state != sql.OK)
        first = self._arrow(self._rows("SELECT * FROM repeated WHERE place = 1", texts=True)).select(table.column_names)
        if self.coded:
            for name in ("version", "predicted"):
                first = first.set_column(first.column_names.index(name), name, first[name].dictionary_encode())
        return pa.concat_tables([table.filter(pa.array(kept)), first]).unify_dictionaries()

    def _endings(self, joined: Joined) -> None:
        """Rule 3 added up."""
        groups, rows = joined.groups, self.rows
        ours, others, plain = joined.ours, joined.others, ~groups.odd
        rows["other_model"] = int(groups.size[others].sum())
        rows["labels"] = self.total - rows["other_model"]
        rows["invalid"] = self.without_id
        rows["vote"] = int(groups.size[ours & plain].sum())
        rows["orphan"] = int(groups.size[plain & (joined.row_of == NULL)].sum())
        if groups.odd.any():
            self._odd_endings(joined)
        mine = ~others[groups.of_row]
        self._times(groups.rows.known[mine], groups.rows.state[mine])

    def _odd_endings(self, joined: Joined) -> None:
        import pyarrow as pa

        rows, odd = self.rows, joined.groups.odd
        for name, which in (("our_odd", joined.ours), ("other_odd", joined.others)):
            at = np.flatnonzero(which & odd)
            self.db.register(name, pa.table({"h": joined.groups.key[at], "p_t": joined.rows.t[joined.row_of[at]]}))
        every, ours, others = (dict(zip(sql.ENDINGS, self._row(sql.endings(which)), strict=True)) for which in (
            "true", "h IN (SELECT h FROM our_odd)", "h IN (SELECT h FROM other_odd)"))
        for name in ("invalid", "misfiled", "future", "duplicate"):
            rows[name] += every[name] - others[name]
        for name in ("superseded", "withdrawn", "vote"):
            rows[name] += ours[name]
            rows["orphan"] += every[name] - ours[name] - others[name]
        self.db.execute(sql.OUR_VOTES)

    def _tables(self, joined: Joined) -> dict[str, Any]:
        import pyarrow as pa

        made = {"cells": self._cells(joined), "people": people(joined), "coincidences": coincidences(joined),
                "delays": delays(joined)}
        if joined.groups.odd.any():
            for name, statement in (("people", sql.PEOPLE), ("coincidences", sql.COINCIDENCES), ("delays", sql.DELAYS)):
                made[name] = pa.concat_tables([made[name], self._arrow(statement).cast(TABLES[name].arrow())])
        if self.question.slices:
            self.db.register("joined", sliced(joined, self.table))
            made["slices"] = pa.concat_tables([self._arrow(slice_table(s)).cast(TABLES["slices"].arrow())
                                               for s in self.question.slices])
        return empty_tables() | {name: canonical(name, table) for name, table in made.items()}

    def _cells(self, joined: Joined) -> Any:
        made, weights = cells(joined)
        if weights is None:
            return made
        self.db.register("weights_of_cells", weights)
        return with_weights(made, self._arrow(sql.WEIGHTS))

    def _arrow(self, statement: str, files: Sequence[Any] = ()) -> Any:
        """What a statement gives, in one piece; of whole files exactly the rows that their footers promise."""
        promised = sum(f.rows for f in files)
        table = self.db.sql(statement).to_arrow_table(promised + 1 if files else ONE_PIECE)
        if files and table.num_rows != promised:
            names = ", ".join(Path(f.key).name for f in files)
            raise Mismatch(f"{self.day.day}: expected {promised} rows by the footers of {names}, read {table.num_rows}. "
                           f"{CHANGED}")
        return table

    def _row(self, statement: str, *values: Any) -> tuple:
        return self.db.execute(statement, values).fetchall()[0]

    def _one(self, statement: str, *values: Any) -> Any:
        return self._row(statement, *values)[0]
