"""The Spark engine: one DataFrame job over all days asked; no Python touches a row.

Under spark-submit it uses the user's session and cluster, elsewhere Spark on this machine (jobs/session.py).
`spark_tables` reads the files, `spark_rules` is the plan; here its sums become counts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from contract.counts import ROWS, DayCounts, canonical
from contract.errors import Mismatch
from contract.records import LABEL, PREDICTION
from contract.storage import Storage
from jobs import session
from jobs.engines import spark_rules, spark_tables
from jobs.engines.question import DayFiles, Question

EPOCH = date(1970, 1, 1)
# Columns of each counts table -> columns of the plan's records.
COLUMNS = {
    "cells": {"model_version": "version", "predicted": "predicted", "confidence_bin": "number", "label": "label",
              "origin": "origin", "saw_prediction": "saw", "rank": "rank", "split": "split", "n": "n",
              "sum_confidence": "sum_confidence", "n_weighted": "n_weighted", "sum_weight": "weight",
              "sum_weight_squared": "weight2"},
    "slices": {"slice": "name", "value": "value", "model_version": "version", "origin": "origin",
               "predicted": "predicted", "label": "label", "n": "n"},
    "people": {"labeler": "name", "votes": "n", "agreements": "m"},
    "coincidences": {"label": "label", "other_label": "value", "votes": "number", "n": "n"},
    "delays": {"days": "number", "origin": "origin", "n": "n"},
}


def count(storage: Storage, days: Sequence[DayFiles], question: Question, progress: Callable | None = None, *,
          spark_conf: Mapping[str, str] | None = None) -> Iterator[DayCounts]:
    """The counts of each day. `spark_conf`: Spark settings passed through. Raises Mismatch when rows are missing."""
    if not days:
        return iter(())
    ours = session.get(spark_conf)
    tables = {r.name: spark_tables.table(ours, storage, days, r) for r in (PREDICTION, LABEL)}
    found = summed(spark_rules.all_records(tables, [number(day) for day in days], question), question)
    return (day_counts(day, found.filter(_is(found, "day", number(day))), question) for day in days)


def summed(sums: Any, question: Question) -> Any:
    """The sums as one Arrow table. Slices look at them twice, so the sums are kept: the plan behind them is large."""
    if not question.slices:
        return collected(sums)
    sums = sums.persist()
    try:
        return collected(spark_rules.with_top_values(sums))
    finally:
        sums.unpersist()


def number(day: DayFiles) -> int:
    """Days since 1970 of a partition's day."""
    return (date.fromisoformat(day.day) - EPOCH).days


def collected(records: Any) -> Any:
    """A DataFrame as one Arrow table: through Arrow, because hundreds of thousands of rows cost seconds otherwise."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema

    batches = records._collect_as_arrow()
    return pa.Table.from_batches(batches) if batches else to_arrow_schema(records.schema).empty_table()


def _is(table: Any, column: str, value: Any) -> Any:
    import pyarrow.compute as pc

    return pc.equal(table.column(column), value)


def day_counts(files: DayFiles, found: Any, question: Question) -> DayCounts:
    """One day's counts from its records."""
    import pyarrow as pa
    import pyarrow.compute as pc

    tables = {}
    for name, columns in COLUMNS.items():
        part = found.filter(_is(found, "table", name))
        made = pa.table({c: part.column(source) for c, source in columns.items()})
        tables[name] = canonical(name, made)
    rows = row_counts(found.filter(pc.is_in(found.column("table"), pa.array(["rows", "predictions"]))), files)
    known, late = pc.max(found.column("known")).as_py(), pc.min(found.column("late")).as_py()
    return DayCounts(files.day, tables, rows, known or 0, late)


def row_counts(found: Any, files: DayFiles) -> dict[str, int]:
    """How many rows of each kind; Mismatch when they are not as many as the footers promise."""
    rows, read = dict.fromkeys(ROWS, 0), {"predictions": 0, "labels": 0}
    for row in found.select(["table", "name", "value", "n"]).to_pylist():
        kind, n = row["name"], row["n"]
        if row["table"] == "predictions":
            read["predictions"] += n
            if row["value"] == "ours" and kind != "role":
                rows["predictions"] += n
                rows[kind] = rows.get(kind, 0) + n
        else:
            rows[kind] += n
            if kind != "duplicate_predictions":
                read["labels"] += n
                rows["labels"] += n if kind != "other_model" else 0
    _check(files, read)
    return {name: rows[name] for name in ROWS}


def _check(files: DayFiles, read: dict[str, int]) -> None:
    for table, n in read.items():
        promised = sum(file.rows for file in getattr(files, table))
        if n != promised:
            raise Mismatch(f"{table} of {files.day}: expected {promised} rows by the files' footers, Spark read {n}. "
                           f"A file changed while it was read, or is damaged: start again, or use --quarantine.")
