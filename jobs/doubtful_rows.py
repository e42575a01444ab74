"""Rows behind a doubt of an evaluation, looked up in the day's files: examples, and where their prediction or label lies.

Only read where counting found something (jobs/doubts.py). Files that cannot be read were named when the day was counted.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from contract import layout
from contract.counts import EARLIEST, ROUNDING
from contract.days import prediction_days
from contract.errors import ForeignSchema
from contract.records import LABEL, PREDICTION, TableSchema, arrow_type
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns, rows_where
from contract.stores.store import Storage
from jobs.engines.question import Question

if TYPE_CHECKING:
    import pyarrow as pa

MOST_IDS = 100  # orphans that are looked for under other days
MOST_DAYS = 60  # other days that are looked at, the nearest first
IDENTITY = ("prediction_id", "model", "model_version", "role")


def describe_orphans(storage: Storage, day: str) -> str:
    """Says why the labels of a day meet no prediction, with one of them: theirs lies elsewhere, does not count, or is none."""
    import pyarrow.compute as pc

    labels, predictions = (_read(storage, record, day, ["prediction_id"]) for record in (LABEL, PREDICTION))
    named = labels["prediction_id"].drop_null()
    lost = named.filter(pc.invert(pc.is_in(named, predictions["prediction_id"].combine_chunks())))
    some = lost.slice(0, MOST_IDS).unique().to_pylist()
    if not some:
        return f"predictions/dt={day} has their ids, but in rows that do not count (another role, invalid or not known yet)."
    for other in sorted(set(prediction_days(storage)) - {day}, key=lambda d: abs(_number(d) - _number(day)))[:MOST_DAYS]:
        for _, row in rows_where(storage, layout.PREDICTIONS, other, "prediction_id", some, ["prediction_id"], unreadable=[]):
            return (f"the prediction of {row['prediction_id']!r} lies under predictions/dt={other}. A label lies under the day "
                    f"of its prediction, whenever it was given: expected it under labels/dt={other}.")
    return f"no prediction has the id {some[0]!r}. Compare how both tables write ids."


def list_lost_versions(storage: Storage, question: Question,
                       days: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    """Yields (version, sentence) for each version of the model that has rows on a day, all of them duplicates of others'.

    `days` is day -> the versions that count on it. A version is named once, by its first such day.
    """
    named: set[str] = set()
    for day, counting in sorted(days.items()):
        rows = _read(storage, PREDICTION, day, IDENTITY)
        for version in sorted(set(_ours(rows, question)["model_version"].unique().to_pylist()) - {*counting, *named, None, ""}):
            if sentence := _describe_lost(rows, question, day, version):
                named.add(version)
                yield version, sentence


def describe_replayed(storage: Storage, question: Question, days: Sequence[str]) -> Iterator[str]:
    """Yields a sentence when several versions replayed one of the days: their rows share ids, and one row of an id counts."""
    for day in days:
        versions = sorted(set(_ours(_read(storage, PREDICTION, day, IDENTITY), question)["model_version"].unique().to_pylist())
                          - {None, ""})
        if len(versions) > 1:
            yield (f"versions {', '.join(versions)} replayed {day}, each under the ids of the live answers, and one row of an id "
                   f"counts: these figures are of no version as a whole. Count one alone: --model-version {versions[-1]}.")
            return


def _describe_lost(rows: "pa.Table", question: Question, day: str, version: str) -> str | None:
    import pyarrow.compute as pc

    is_lost = pc.and_(pc.equal(rows["model"], question.model), pc.equal(rows["model_version"], version))
    is_lost = pc.fill_null(is_lost, False)
    mine = _ours(rows.filter(is_lost), question)
    others = rows.filter(pc.invert(is_lost))
    met = others.filter(pc.is_in(others["prediction_id"], mine["prediction_id"].drop_null().combine_chunks()))
    if not met.num_rows:
        return None
    first = met.slice(0, 1).to_pylist()[0]
    who = f"version {first['model_version']!r}" + (f" of model {first['model']!r}" if first["model"] != question.model else "")
    return (f"version {version!r}: none of its {mine.num_rows:,} rows under predictions/dt={day} counts, because {who} has the "
            f"same ids, for example {first['prediction_id']!r}, and one row of an id counts. Give each answer an id of its own.")


def describe_impossible(storage: Storage, question: Question, day: str) -> str:
    """Says which values of a day's rows cannot be: of each kind how many, and the id of one."""
    import pyarrow.compute as pc

    predictions = _read(storage, PREDICTION, day, [*IDENTITY, "predicted_at", "predicted_label", "confidence", "top_labels"])
    labels = _read(storage, LABEL, day, ["prediction_id", "labeled_at", "selection_probability"])
    kinds = []
    for table, masks in ((_ours(predictions, question), _judge_predictions), (labels, _judge_labels)):
        for what, mask in masks(table):
            ids = table.filter(pc.fill_null(mask, False))["prediction_id"]
            kinds += [f"{len(ids):,} with {what} (for example of {ids[0].as_py()!r})"] if len(ids) else []
    return f"Of {day}: {'; '.join(kinds)}." if kinds else ""


def _judge_predictions(table: "pa.Table") -> Iterator[tuple[str, Any]]:
    yield "a predicted_at before the year 2000", _is_early(table["predicted_at"])
    yield "a confidence that is NaN or outside 0 to 1", _is_no_probability(table["confidence"])
    yield "a first of top_labels that is not predicted_label", _has_other_first(table)


def _judge_labels(table: "pa.Table") -> Iterator[tuple[str, Any]]:
    yield "a labeled_at before the year 2000", _is_early(table["labeled_at"])
    yield "a selection_probability that is NaN or outside 0 to 1", _is_no_probability(table["selection_probability"])


def _is_early(column: "pa.ChunkedArray") -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.less(column.cast(pa.int64()), EARLIEST)


def _is_no_probability(column: "pa.ChunkedArray") -> Any:
    import pyarrow.compute as pc

    return pc.invert(pc.and_(pc.greater_equal(column, -ROUNDING), pc.less_equal(column, 1 + ROUNDING)))


def _has_other_first(table: "pa.Table") -> Any:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from jobs.engines.arrays import join_chunks, numbers

    top, found = join_chunks(table["top_labels"]), np.zeros(table.num_rows, bool)
    at = np.flatnonzero(numbers(pc.list_value_length(top)))
    first = top.values.take(pa.array(top.offsets.to_numpy()[at]))
    other = pc.not_equal(first, join_chunks(table["predicted_label"]).take(pa.array(at)))
    found[at] = numbers(pc.fill_null(other, True))
    return pa.array(found)


def _ours(rows: "pa.Table", question: Question) -> "pa.Table":
    """The rows of the model in the role that is counted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = [word for word in rows["role"].unique().to_pylist() if question.resolve_role(word) == question.role]
    ours = pc.and_(pc.equal(rows["model"], question.model), pc.is_in(rows["role"], pa.array(words, pa.string())))
    return rows.filter(pc.fill_null(ours, False))


def _read(storage: Storage, record: TableSchema, day: str, columns: Sequence[str]) -> "pa.Table":
    """Reads some columns of a day in the record's own types, null where a file lacks one; files it cannot read are left out."""
    import pyarrow as pa

    from jobs.engines.embedded.read import convert_table

    schema = pa.schema([(name, arrow_type(record.field(name).type)) for name in columns])
    found = [schema.empty_table()]
    for entry in list_rows(storage, record.name, day):
        try:
            found.append(convert_table(read_columns(storage, entry.key, columns), schema))
        except (ForeignSchema, pa.ArrowException):
            continue
    return pa.concat_tables(found)


def _number(day: str) -> int:
    return date.fromisoformat(day).toordinal()
