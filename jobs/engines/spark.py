"""The Spark engine: DataFrame jobs over all days asked; no Python touches a row.

Under spark-submit it uses the user's session and cluster, elsewhere Spark on this machine (jobs/session.py).
`spark_tables` reads the files. Two plans count: `spark_ids` the many ids with a prediction and up to three label rows,
in numbers of fixed width; `spark_rules` everything, in words, for the ids that the first one leaves (and for all ids
when slices or labelers' weights are asked for). Here their sums become counts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from contract.counts import ROWS, DayCounts, canonical
from contract.errors import Mismatch
from contract.records import LABEL, PREDICTION
from contract.storage import Storage
from jobs import session
from jobs.engines import spark_codes, spark_ids, spark_rules, spark_said, spark_tables
from jobs.engines.question import DayFiles, Question
from jobs.engines.spark_codes import Codes

EPOCH = date(1970, 1, 1)
ROWS_A_TASK = 500_000  # of the aggregate by ids, so that two tasks fit in the memory of a laptop's Spark
MOST_BROADCAST = 200_000  # rare ids
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
    numbers = [number(day) for day in days]
    quick = None if question.slices or question.labeler_weights else in_numbers(ours, tables, days, question)
    if quick is None:
        found = summed(spark_rules.all_records(tables, numbers, question), question)
        return (day_counts(day, found.filter(_is(found, "day", number(day)))) for day in days)
    common, codes, rest = quick
    return (merged(day, common.filter(_is(common, "day", number(day))), codes,
                   rest if rest is None else rest.filter(_is(rest, "day", number(day)))) for day in days)


def in_numbers(ours: Any, tables: Mapping[str, tuple[Any, list[str]]], days: Sequence[DayFiles],
               question: Question) -> tuple[Any, Codes, Any] | None:
    """What the common ids say, the codes of its words, and the records of the rare ids or None. None: no codes fit."""
    (predictions, p_have), (labels, l_have) = tables[PREDICTION.name], tables[LABEL.name]
    tops = any("top_labels" in file.columns for day in days for file in day.predictions)
    words = [spark_codes.words(predictions, "model_version", "predicted_label"), spark_codes.words(labels, "label", "labeler"),
             *([predictions.selectExpr("explode(top_labels)")] if tops else [])]
    codes = spark_codes.learn(words)
    if codes is None:
        return None
    plan = spark_ids.Plan.of(question, codes, [number(day) for day in days], p_have, l_have, tops)
    partitions = max(int(ours.conf.get("spark.sql.shuffle.partitions")), rows_of(days) // ROWS_A_TASK)
    found = spark_tables.collected(spark_ids.all_records(predictions, labels, plan, partitions))
    left = spark_said.rare(found)
    if not left:
        return found, codes, None
    ids = spark_ids.all_ids(predictions, labels, plan, partitions).where("rare").select("day", "h1", "h2")
    only = ids.hint("broadcast") if left <= MOST_BROADCAST else ids
    rest = spark_rules.all_records(tables, plan.days, question, (only, plan.hashes()))
    return found, codes, spark_tables.collected(rest)


def rows_of(days: Sequence[DayFiles]) -> int:
    """Rows in the files, by their footers."""
    return sum(file.rows for day in days for file in day.predictions + day.labels)


def merged(files: DayFiles, common: Any, codes: Codes, rest: Any) -> DayCounts:
    """One day's counts from what its common ids say and the records of its rare ids (or None)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    tables = {name: canonical(name, made) for name, made in spark_said.tables(common, codes).items()}
    said, known, late = spark_said.statuses(common), [pc.max(common["known"]).as_py()], [pc.min(common["late"]).as_py()]
    if rest is not None:
        more = records_tables(rest)
        tables = {name: canonical(name, pa.concat_tables([made, more[name]])) for name, made in tables.items()}
        said += status_records(rest)
        known, late = [*known, pc.max(rest["known"]).as_py()], [*late, pc.min(rest["late"]).as_py()]
    return DayCounts(files.day, tables, row_counts(said, files), max([k for k in known if k is not None], default=0),
                     min([t for t in late if t is not None], default=None))


def summed(sums: Any, question: Question) -> Any:
    """The sums as one Arrow table. Slices look at them twice, so the sums are kept: the plan behind them is large."""
    if not question.slices:
        return spark_tables.collected(sums)
    sums = sums.persist()
    try:
        return spark_tables.collected(spark_rules.with_top_values(sums))
    finally:
        sums.unpersist()


def number(day: DayFiles) -> int:
    """Days since 1970 of a partition's day."""
    return (date.fromisoformat(day.day) - EPOCH).days


def _is(table: Any, column: str, value: Any) -> Any:
    import pyarrow.compute as pc

    return pc.equal(table.column(column), value)


def day_counts(files: DayFiles, found: Any) -> DayCounts:
    """One day's counts from its records."""
    import pyarrow.compute as pc

    known, late = pc.max(found.column("known")).as_py(), pc.min(found.column("late")).as_py()
    return DayCounts(files.day, records_tables(found), row_counts(status_records(found), files), known or 0, late)


def records_tables(found: Any) -> dict[str, Any]:
    """The counts tables of one day's records."""
    import pyarrow as pa

    tables = {}
    for name, columns in COLUMNS.items():
        part = found.filter(_is(found, "table", name))
        tables[name] = canonical(name, pa.table({c: part.column(source) for c, source in columns.items()}))
    return tables


def status_records(found: Any) -> list[dict[str, Any]]:
    """The records that say how many rows are of each kind."""
    import pyarrow as pa
    import pyarrow.compute as pc

    of_rows = found.filter(pc.is_in(found.column("table"), pa.array(["rows", "predictions"])))
    return of_rows.select(["table", "name", "value", "n"]).to_pylist()


def row_counts(said: Sequence[Mapping[str, Any]], files: DayFiles) -> dict[str, int]:
    """How many rows of each kind; Mismatch when they are not as many as the footers promise."""
    rows, read = dict.fromkeys(ROWS, 0), {"predictions": 0, "labels": 0}
    for row in said:
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
