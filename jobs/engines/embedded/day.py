"""One day counted over a DuckDB connection: regular predictions on numpy columns, irregular ones by the rules in SQL.

The full rules are in sql.py, the numpy half in votes.py and cells.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from contract.counts import ROWS, TABLES, DayCounts, canonical, empty_tables
from contract.errors import Mismatch
from contract.rows.items import DayItems, make_schema
from contract.stores.store import Storage
from jobs.engines.arrays import NULL
from jobs.engines.embedded import sql
from jobs.engines.embedded.arrays import are_same_ids
from jobs.engines.embedded.cells import (
    Joined,
    Known,
    PredictionRows,
    add_weights,
    count_cells,
    count_coincidences,
    count_delays,
    count_people,
    join,
    join_slice_columns,
    list_consensus,
)
from jobs.engines.embedded.connection import Connection
from jobs.engines.embedded.items import make_items
from jobs.engines.embedded.scores import create_counted_for, make_tables
from jobs.engines.embedded.slices import count_slice
from jobs.engines.embedded.sources import Sources
from jobs.engines.embedded.votes import LabelGroups, LabelRows, group_rows, put_irregular
from jobs.engines.question import DayFiles, Question, RawFile

CHANGED = "A file changed while it was read: start again."
CHUNK_ROWS = 1_000_000  # in a chunk of an Arrow table; no statement without `files` is expected to give more


class Day:
    """Counts one day over a connection of its own, which sees none of the other days' temporary tables.

    `key` is the SQL expression that rows are joined by: `hash(id)`, or a number that is given to each id.
    """

    def __init__(self, db: Connection, storage: Storage, day: DayFiles, question: Question, key: str) -> None:
        self.day, self.question, self.key = day, question, key
        self.db = db.cursor()
        self.db.execute("SET TimeZone = 'UTC'")
        self.sources = Sources(self.db, storage, day, question.slices)
        self.present = self.sources.present_labels()
        self.reads_words = self.sources.are_read_by_duckdb  # then pyarrow reads the texts, as dictionaries
        self.rows = dict.fromkeys(ROWS, 0)
        self.known: list[int] = []
        self.future: list[int] = []

    def count(self) -> DayCounts | None:
        """Counts the day; None when two ids share a key."""
        with self.db:
            if not self.day.predictions and not self.day.labels:
                return DayCounts(self.day.day, empty_tables(), self.rows)
            joined = self._join()
            if not joined:
                return None
            return DayCounts(self.day.day, self._make_tables(joined), self.rows, max(self.known, default=0),
                             min(self.future, default=None))

    def list_items(self) -> DayItems | None:
        """Lists the day's items; None when two ids share a key. The question's slices are ITEM_COLUMNS."""
        with self.db:
            if not self.day.predictions and not self.day.labels:
                return DayItems(self.day.day, make_schema().empty_table())
            joined = self._join(in_order=True)
            if not joined:
                return None
            some = self._fetch(sql.OUR_VOTES_IN_ORDER) if joined.groups.irregular.any() else None
            return DayItems(self.day.day, make_items(joined, self.table, some), max(self.known, default=0),
                            min(self.future, default=None))

    def _join(self, in_order: bool = False) -> Joined | None:
        """Reads both tables, and counts how rows ended; None when two ids share a key. `in_order`: see `group_rows`."""
        if self.key == sql.NUMBER_OF_ID:
            self.db.execute(sql.create_numbered_id(self.sources.predictions(), self.sources.labels()))
        groups = self._read_labels(in_order)
        joined = self._read_predictions(groups) if groups else None
        if joined:
            self._count_endings(joined)
        return joined

    def _read_labels(self, in_order: bool) -> LabelGroups | None:
        """Applies rules 3 and 4, as if each label had a prediction; None when two ids share a key."""
        statement = sql.select_label_rows(self.sources.labels(), self.question, self.day.day, self.key, self.present,
                                          texts=not self.reads_words)
        table = self._fetch(statement, self.day.labels)
        if self.reads_words:
            table = self._append_words(table, self.sources.label_words())
        self.total, self.without_id = table.num_rows, table["id"].null_count
        rows = LabelRows.of(table.filter(table["id"].is_valid()) if self.without_id else table)
        groups = group_rows(rows, self.question.scores or self.question.labeler_weights, in_order)
        if groups and groups.irregular.any():
            self._resolve_irregular(groups)
        return groups

    def _resolve_irregular(self, groups: LabelGroups) -> None:
        """Applies the full rules to the irregular ids."""
        self._define_word(groups.rows.words.texts)
        self._create_judged(groups)
        self.db.register("irregular_hashes", pa.table({"h": groups.key[groups.irregular]}))
        self.db.execute("CREATE TEMP TABLE weights (who VARCHAR, w BIGINT)")
        if self.question.labeler_weights:
            self.db.executemany("INSERT INTO weights VALUES (?, ?)", list(self.question.labeler_weights.items()))
        for step in (sql.create_irregular(self.sources.labels(), self.question, self.day.day, self.key), sql.DUPLICATES,
                     sql.mark_other_answers(self.question.role), sql.SUPERSEDED,
                     sql.create_votes(one_class="origin" not in self.present), sql.TALLY,
                     self._choose_counting(groups), sql.create_resolved("probability" in self.present)):
            self.db.execute(step)
        put_irregular(groups, self._fetch("SELECT * FROM resolved ORDER BY h"))

    def _choose_counting(self, groups: LabelGroups) -> str:
        """Returns the statement that says what votes count for: by weights, or by the scores of a fit."""
        if not self.question.scores:
            return sql.COUNTED_FOR
        for name, table in make_tables(self.question.scores, groups.rows.words).items():
            self.db.register(name, table)
        return create_counted_for(self.question.scores.rarest)

    def _create_judged(self, groups: LabelGroups) -> None:
        """Creates table `judged`: a `≠` is the one label that cannot be resolved without its prediction (rule 4a)."""
        hashes = groups.find_unnamed()
        if not len(hashes):
            self.db.execute(sql.NOTHING_JUDGED)
            return
        self.db.register("unnamed_hashes", pa.table({"h": hashes}))
        rows = self._select_with_state(self.sources.predictions(ties=True))
        self.db.execute(sql.create_judged(rows, self.sources.prediction_order))

    def _define_word(self, words: pa.StringArray) -> None:
        """Defines the SQL type `word` of labels and labelers: an ENUM where all of the day's are known and few, else text."""
        self.db.register("words", pa.table({"word": words}))
        few = self.reads_words and 0 < len(words) <= sql.MOST_WORDS
        self.db.execute(sql.WORD_AS_NUMBER if few else sql.WORD_AS_TEXT)

    def _read_predictions(self, groups: LabelGroups) -> Joined | None:
        """Applies rule 2, and joins each prediction with its labels; None when two ids share a key."""
        if self.sources.has_top:
            self.db.register("consensus", list_consensus(groups))
        table = self._read_prediction_rows()
        rows = PredictionRows.of(table)
        self._count_states(rows)
        known = Known.of(rows)
        if len(twice := known.find_repeated()):
            table = self._keep_first(table, rows, twice)
            rows = PredictionRows.of(table)
            known = Known.of(rows)
        joined = join(rows, known, groups)
        met = np.flatnonzero(joined.row_of != NULL)
        if len(known.find_repeated()) or not are_same_ids(rows.ids, joined.row_of[met], groups.rows.ids, groups.first[met]):
            return None
        self.table = table
        return joined

    def _select_with_state(self, source: str) -> str:
        return sql.select_with_state(source, self.question, self.day.day, self.key)

    def _read_prediction_rows(self) -> pa.Table:
        statement = self._select_rows(self._select_with_state(self.sources.predictions()), texts=not self.reads_words)
        table = self._fetch(statement, self.day.predictions)
        if not self.reads_words:
            return table
        return self._append_words(table, self.sources.prediction_words())

    def _append_words(self, table: pa.Table, words: dict[str, pa.ChunkedArray]) -> pa.Table:
        """Appends text columns that pyarrow read row for row: in the table's order, or by its column `row`, which it drops."""
        places = table["row"] if "row" in table.column_names else None
        for name, column in words.items():
            if len(column) != table.num_rows:
                raise Mismatch(f"{self.day.day}: read {table.num_rows} rows, then {len(column)} of {name}. {CHANGED}")
            table = table.append_column(name, column if places is None else column.take(places))
        return table if places is None else table.drop_columns(["row"])

    def _select_rows(self, rows: str, texts: bool) -> str:
        sources = self.sources
        return sql.select_prediction_rows(rows, sources.slice_columns, sources.has_recorded, sources.has_top, texts)

    def _count_states(self, rows: PredictionRows) -> None:
        """Counts the rows by state."""
        ours, state = rows.ours, rows.state
        self.rows["unknown_role"] = int((ours & (state == sql.UNKNOWN_ROLE)).sum())
        self.rows["predictions"] = int((ours & (state < sql.OTHER_ROLE)).sum())
        for name, value in (("invalid", sql.INVALID), ("misfiled", sql.MISFILED), ("future", sql.FUTURE)):
            self.rows[f"{name}_predictions"] = int((ours & (state == value)).sum())
        self.rows["impossible_predictions"] = int((ours & rows.impossible & (state == sql.OK)).sum())
        self._note_times(rows.known, state)

    def _note_times(self, known: np.ndarray, state: np.ndarray) -> None:
        """Notes when the last row that counts became known, and when the first that came too late did."""
        early, late = known[state == sql.OK], known[state == sql.FUTURE]
        self.known += [int(early.max())] if len(early) else []
        self.future += [int(late.min())] if len(late) else []

    def _keep_first(self, table: pa.Table, rows: PredictionRows, twice: np.ndarray) -> pa.Table:
        """Keeps the first row of each repeated id; `twice` are the keys of the repeated ids."""
        self.db.register("twice", pa.table({"h": twice}))
        source = self._select_with_state(self.sources.predictions(ties=True))
        self.db.execute(sql.create_repeated(source, self.sources.prediction_order))
        self.rows["duplicate_predictions"] = self._fetch_value("SELECT count(*) FROM repeated WHERE place > 1 AND ours")
        kept = ~np.isin(rows.key, twice) | (rows.state != sql.OK)
        first = self._fetch(self._select_rows("SELECT * FROM repeated WHERE place = 1", texts=True)).select(table.column_names)
        if self.reads_words:
            for name in ("version", "predicted"):
                first = first.set_column(first.column_names.index(name), name, first[name].dictionary_encode())
        return pa.concat_tables([table.filter(pa.array(kept)), first]).unify_dictionaries()

    def _count_endings(self, joined: Joined) -> None:
        """Counts how label rows ended (rule 3)."""
        groups, rows = joined.groups, self.rows
        ours, others, regular = joined.ours, joined.others, ~groups.irregular
        rows["other_model"] = int(groups.size[others].sum())
        rows["labels"] = self.total - rows["other_model"]
        rows["invalid"] = self.without_id
        rows["vote"] = int(groups.size[ours & regular].sum())
        rows["orphan"] = int(groups.size[regular & (joined.row_of == NULL)].sum())
        if groups.irregular.any():
            self._count_irregular_endings(joined)
        mine = ~others[groups.of_row]
        rows["impossible_labels"] = int((mine & groups.rows.impossible & (groups.rows.state == sql.OK)).sum())
        self._note_times(groups.rows.known[mine], groups.rows.state[mine])

    def _count_irregular_endings(self, joined: Joined) -> None:
        rows, irregular = self.rows, joined.groups.irregular
        for name, which in (("our_irregular", joined.ours), ("other_irregular", joined.others)):
            at = np.flatnonzero(which & irregular)
            self.db.register(name, pa.table({"h": joined.groups.key[at], "p_t": joined.rows.t[joined.row_of[at]]}))
        every = self._fetch_endings("true")
        ours = self._fetch_endings("h IN (SELECT h FROM our_irregular)")
        others = self._fetch_endings("h IN (SELECT h FROM other_irregular)")
        for name in ("invalid", "misfiled", "future", "duplicate"):
            rows[name] += every[name] - others[name]
        for name in ("other_answer", "superseded", "withdrawn", "vote"):
            rows[name] += ours[name]
            rows["orphan"] += every[name] - ours[name] - others[name]
        self.db.execute(sql.OUR_VOTES)

    def _fetch_endings(self, which: str) -> dict[str, int]:
        return dict(zip(sql.ENDINGS, self._fetch_row(sql.count_endings(which)), strict=True))

    def _make_tables(self, joined: Joined) -> dict[str, pa.Table]:
        made = {"people": count_people(joined), "coincidences": count_coincidences(joined), "delays": count_delays(joined)}
        if joined.groups.irregular.any():
            for name, statement in (("people", sql.PEOPLE), ("coincidences", sql.COINCIDENCES), ("delays", sql.DELAYS)):
                made[name] = pa.concat_tables([made[name], self._fetch(statement).cast(TABLES[name].arrow())])
        if self.question.slices:
            self.db.register("joined", join_slice_columns(joined, self.table))
            made["slices"] = pa.concat_tables([self._fetch(count_slice(s)).cast(TABLES["slices"].arrow())
                                               for s in self.question.slices])
        found = {name: canonical(name, table) for name, table in made.items()}
        return empty_tables() | {"cells": self._count_cells(joined)} | found

    def _count_cells(self, joined: Joined) -> pa.Table:
        made, weights = count_cells(joined)
        if weights is None:
            return made
        self.db.register("weights_of_cells", weights)
        return add_weights(made, self._fetch(sql.WEIGHTS))

    def _fetch(self, statement: str, files: Sequence[RawFile] = ()) -> pa.Table:
        """Runs a statement; Mismatch when it reads whole `files` and gives other rows than their footers promise."""
        promised = sum(f.rows for f in files)
        table = self.db.sql(statement).to_arrow_table(promised + 1 if files else CHUNK_ROWS)
        if files and table.num_rows != promised:
            names = ", ".join(Path(f.key).name for f in files)
            raise Mismatch(f"{self.day.day}: expected {promised} rows by the footers of {names}, read {table.num_rows}. "
                           f"{CHANGED}")
        return table

    def _fetch_row(self, statement: str) -> tuple:
        return self.db.execute(statement).fetchall()[0]

    def _fetch_value(self, statement: str) -> Any:
        return self._fetch_row(statement)[0]
