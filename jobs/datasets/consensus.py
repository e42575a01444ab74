"""The consensus label of each labelled prediction with its image (docs/design.md#rule-4-consensus).

Only label rows and the predictions that they name leave the files; the rules themselves are jobs/engines/rules.py.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from contract import layout
from contract.stores.store import Storage
from jobs.datasets.tasks import Tasks
from jobs.engines import rules
from jobs.engines.day_files import find_unreadable, leave_out
from jobs.engines.mapreduce import splits
from jobs.engines.question import DayFiles, Question, Slice
from jvm import task_store
from jvm.task_store import Where

if TYPE_CHECKING:
    from pyspark import RDD, Broadcast

log = logging.getLogger(__name__)
# Columns that counting itself does not use; they are read like declared slices, footers included.
IMAGE_COLUMNS = (Slice("image", "image_sha256"), Slice("uri", "image_uri"))
BESIDE = ("decoded_by",)  # as a slice it would be the last of all columns, and ties have those before it read
MIN_PARTS = 2  # even on a laptop, so that code that is right only within one task fails there


def find_labelled(context: Tasks, storage: Storage, days: Sequence[DayFiles],
                  question: Question) -> list[dict[str, Any]]:
    """One row for each distinct prediction of the model that has known label rows, by (day, prediction_id).

    Columns: day, prediction_id, image_sha256, image_uri, decoded_by, label (`≠`: wrong, class not named), origin, votes and
    agreeing (deciding votes, and those that count for the label), labelers (of those that name it, sorted), labeled_at (of
    the newest deciding vote, us), selection_probability (of the earliest). A prediction whose label rows come to no vote (all
    were withdrawn) has the label None.
    """
    numbers = {day.day: _day_number(day.day) for day in days}
    at = task_store.describe(storage)
    labels = _rdd(context, storage, days, layout.LABELS).flatMap(
        lambda line: _read_known_labels(at, line, numbers[line["day"]], question)).cache()
    wanted: Broadcast[set[str]] = context.broadcast(set(labels.keys().collect()))
    predictions = _rdd(context, storage, days, layout.PREDICTIONS).flatMap(
        lambda line: _read_named_predictions(at, line, wanted.value, numbers[line["day"]], question))
    judged = predictions.cogroup(labels, max(MIN_PARTS, context.defaultParallelism)).flatMap(lambda pair: judge(
        pair[0], list(pair[1][0]), list(pair[1][1]), question, withdrawn=True))
    found = judged.collect()
    labels.unpersist()
    wanted.destroy()
    return sorted(found, key=lambda row: (row["day"], row["prediction_id"]))


def find_labelled_readable(context: Tasks, storage: Storage, days: Sequence[DayFiles],
                           question: Question) -> list[dict[str, Any]]:
    """The rows of `find_labelled` without files whose data cannot be read although their footers can; warns of these."""
    try:
        return find_labelled(context, storage, days, question)
    except Exception:  # whatever Spark makes of such a file
        bad = find_unreadable(storage, days)
        if not bad:
            raise
        for reason in bad.values():
            log.warning("passed over: %s", reason)
        return find_labelled(context, storage, [leave_out(day, bad) for day in days], question)


def find_labelled_here(storage: Storage, day: DayFiles, question: Question) -> Iterator[dict[str, Any]]:
    """Yields the rows of `find_labelled` for one day, in this process and in any order, with `predicted` and `model_version`.

    Predictions whose label rows come to no vote are left out.
    """
    at, number = task_store.describe(storage), _day_number(day.day)
    labels: dict[tuple[str, str], list[dict]] = {}
    for line in (x for file in day.labels for x in _lines(storage, layout.LABELS, day.day, file)):
        for key, row in _read_known_labels(at, line, number, question):
            labels.setdefault(key, []).append(row)
    predictions: dict[tuple[str, str], list[dict]] = {}
    for line in (x for file in day.predictions for x in _lines(storage, layout.PREDICTIONS, day.day, file)):
        for key, row in _read_named_predictions(at, line, set(labels), number, question):
            predictions.setdefault(key, []).append(row)
    for key, rows in predictions.items():
        kept = rules.in_order(rows, rules.PREDICTION_ORDER)[0]
        for found in judge(key, rows, labels[key], question):
            yield found | {"predicted": kept["predicted_label"], "model_version": kept["model_version"]}


def _rdd(context: Tasks, storage: Storage, days: Sequence[DayFiles], table: str) -> "RDD":
    lines = [line for day in days for file in getattr(day, table) for line in _lines(storage, table, day.day, file)]
    return context.parallelize(lines, max(MIN_PARTS, min(len(lines), 4 * context.defaultParallelism)))


def _lines(storage: Storage, table: str, day: str, file: Any) -> Iterator[dict[str, Any]]:
    for group in range(file.row_groups):
        yield {"root": storage.root, "table": table, "day": day, "key": file.key, "columns": sorted(file.columns),
               "row_groups": [group]}


def _day_number(day: str) -> int:
    from datetime import date

    return (date.fromisoformat(day) - date(1970, 1, 1)).days


def _read_known_labels(at: Where, line: dict[str, Any], day_number: int, question: Question) -> Iterator[tuple]:
    task_store.adopt(at)  # the split opens its root itself
    for row in splits.read(line):
        if rules.label_status(row, day_number, question) == "ok":
            yield (line["day"], row["prediction_id"]), row


def _read_named_predictions(at: Where, line: dict[str, Any], wanted: set, day_number: int,
                            question: Question) -> Iterator[tuple]:
    """Yields predictions whose id a label names, of all models: which of equal ids counts is decided among all (rule 2)."""
    for row in _rows_of(at, line, [name for day, name in wanted if day == line["day"]]):
        if rules.prediction_status(row, day_number, question) == "ok":
            yield (line["day"], row["prediction_id"]), row


def _rows_of(at: Where, line: dict[str, Any], ids: list[str]) -> Iterator[dict[str, Any]]:
    """Yields the rows with one of these ids: filtered in Arrow, because most predictions have no label."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    system, base = task_store.open_there(at).arrow()
    with pq.ParquetFile(f"{base}/{line['key']}", filesystem=system, coerce_int96_timestamp_unit="us") as parquet:
        for batch in parquet.iter_batches(splits.BATCH_ROWS, line["row_groups"], line["columns"], use_threads=False):
            column = batch.column("prediction_id").cast(pa.string())
            batch = batch.filter(pc.is_in(column, pa.array(ids, pa.string())))
            columns = {name: splits.values(name, batch.column(name)) for name in line["columns"]}
            yield from ({name: values[n] for name, values in columns.items()} for n in range(batch.num_rows))


def judge(key: tuple[str, str], predictions: list[dict], labels: list[dict], question: Question,
          withdrawn: bool = False) -> Iterator[dict]:
    """The consensus of one prediction, if it is this model's and has a vote; with `withdrawn` also that there is none."""
    kept = rules.in_order(predictions, rules.PREDICTION_ORDER)[0] if predictions else None
    if kept is None or kept["model"] != question.model:
        return
    verdict = rules.resolve_labels(kept, [("ok", row) for row in labels], question)
    if not verdict.votes and not (withdrawn and labels):
        return
    yield {"day": key[0], "prediction_id": key[1], "origin": verdict.origin,
           "image_sha256": kept.get("image_sha256"), "image_uri": kept.get("image_uri"),
           "decoded_by": kept.get("decoded_by")} | _make_columns(verdict)


def _make_columns(verdict: rules.LabelOutcome) -> dict[str, Any]:
    deciding, label = verdict.deciding, verdict.label
    if not deciding:
        return {"label": None, "votes": 0, "agreeing": 0, "labelers": [], "labeled_at": None, "selection_probability": None}
    agreeing = [row for row in deciding if row["label"] == label]
    return {"label": label, "votes": len(deciding), "agreeing": verdict.counted_for[label or ""],
            "labelers": sorted({row["labeler"] or "" for row in agreeing}),
            "labeled_at": max(row["labeled_at"] for row in deciding),
            "selection_probability": rules.in_order(deciding, rules.LABEL_ORDER)[0].get("selection_probability")}
