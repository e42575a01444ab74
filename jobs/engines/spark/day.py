"""The counts of a part of a day: all rows of some of its prediction ids, counted in one task of the Spark engine.

A part is a whole day, or, of a day that is too big for a task, the ids whose hash falls to it. The rules are those of
docs/design.md#the-rules-of-counting, on numpy columns; no Python code runs row by row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from contract.counts import TABLES, UNNAMED, canonical
from contract.records import LABEL, PREDICTION
from jobs.engines.arrays import NULL, Words
from jobs.engines.question import Question
from jobs.engines.spark.arrays import (
    elements,
    flatten_codes,
    number_texts,
    numbers,
    places_in_lists,
    runs,
    sort_columns,
)
from jobs.engines.spark.cells import Joined, make_tables
from jobs.engines.spark.rows import OTHER_ROLE, UNKNOWN_ROLE, PredictionRows, Rows, label_rows, prediction_rows
from jobs.engines.spark.slices import keep_top_values, slice_values
from jobs.engines.spark.votes import (
    ENDINGS,
    FUTURE,
    INVALID,
    MISFILED,
    OK,
    OTHER_MODEL,
    Answers,
    Consensus,
    LabelRows,
    decide,
)

# The columns that come first in the order that says which of several rows with one id is the prediction (rule 2).
FIRST = ("predicted_at", "model_version", "predicted_label", "confidence")


@dataclass
class PartCounts:
    """What a task counted: rows read, counts tables, rows of each kind, and when rows became known."""

    read: dict[str, int]
    tables: dict[str, pa.Table] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    known: list[int] = field(default_factory=list)
    future: list[int] = field(default_factory=list)


def count_part(day: str, predictions: pa.Table, labels: pa.Table, question: Question) -> PartCounts:
    """Counts a part of that day, given its rows as tables in the form of `rows.Rows`."""
    joined, counts = join_part(day, predictions, labels, question)
    counts.tables = make_tables(joined)
    return counts


def join_part(day: str, predictions: pa.Table, labels: pa.Table, question: Question) -> tuple[Joined, PartCounts]:
    """Applies rules 2 to 4 to a part of that day; returns its rows joined, and its counts without their tables."""
    given, said = Rows(predictions, PREDICTION), Rows(labels, LABEL)
    counts = PartCounts({"predictions": len(given), "labels": len(said)})
    classes = Words.of(given.column("predicted_label"), said.column("label"), elements(given.column("top_labels")))
    versions, people = Words.of(given.column("model_version")), Words.of(said.column("labeler"))
    given_ids, said_ids = given.ids("prediction_id"), said.ids("prediction_id")
    (given_number, said_number), ids = number_texts(given_ids, said_ids)
    rows = prediction_rows(given, given_ids, given_number, day, question, classes, versions)
    row_of = _keep_first(counts, given, rows, ids)
    voters = label_rows(said, said_ids, said_number, day, question, classes, people)
    has_prediction = row_of != NULL
    voters.status[(has_prediction & ~np.append(rows.ours, False)[row_of])[voters.number]] = OTHER_MODEL
    predicted = np.append(rows.predicted, NULL)[row_of]
    consensus, tally = decide(voters, Answers(predicted[:-1], question.role == "live"))
    _count_states(counts, rows)
    _count_endings(counts, voters)
    mine = _rows_of_ours(rows, row_of[has_prediction])
    return Joined(
        ids=given_ids, mine=mine, classes=classes, versions=versions, people=people, version=rows.version[mine],
        predicted=rows.predicted[mine], number=rows.number[mine], confidence=numbers(given.column("confidence"), np.nan)[mine],
        rank=_ranks(given, rows, mine, classes, consensus), consensus=consensus, tally=tally, labels=voters,
        judged=predicted, predicted_at=np.append(rows.t, 0)[row_of], slices=_slices(given, mine, question),
    ), counts


def add_parts(parts: Sequence[PartCounts]) -> PartCounts:
    """Adds the counts of several parts of one day."""
    return add_but_tables(parts, {name: canonical(name, pa.concat_tables([p.tables[name] for p in parts])) for name in TABLES})


def add_but_tables(parts: Sequence[PartCounts], tables: dict[str, pa.Table]) -> PartCounts:
    """Adds the counts of several parts of one day but for their tables; `tables` are those made of all of them."""
    read = {name: sum(p.read[name] for p in parts) for name in parts[0].read}
    rows = {name: sum(p.rows[name] for p in parts) for name in parts[0].rows}
    return PartCounts(read, tables, rows, [k for p in parts for k in p.known], [k for p in parts for k in p.future])


def finish_day(counts: PartCounts) -> PartCounts:
    """Finishes the added counts of all parts of a day: keeps only the most frequent values of each slice."""
    return replace(counts, tables=counts.tables | {"slices": keep_top_values(counts.tables["slices"])})


def _keep_first(counts: PartCounts, given: Rows, rows: PredictionRows, ids: int) -> np.ndarray:
    """Returns the row of the distinct prediction with each id's number, NULL for none, and NULL once more at the end."""
    ok = np.flatnonzero(rows.status == OK)
    row_of = np.full(ids + 1, NULL)
    row_of[rows.number[ok]] = ok
    again = ok[np.bincount(rows.number[ok], minlength=ids)[rows.number[ok]] > 1]
    first = _find_first(given, again[np.argsort(rows.number[again], kind="stable")], rows.number)
    row_of[rows.number[first]] = first
    counts.rows["duplicate_predictions"] = int(rows.ours[again].sum() - rows.ours[first].sum())
    return row_of


def _find_first(given: Rows, left: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Finds the first row of each number among the prediction rows `left`, which are in the order of their numbers.

    Goes column by column: only rows that are equal so far are looked at in the next, for lists are large.
    """
    names = [n for n in PREDICTION.names if n in given.table.column_names and n not in (*FIRST, "prediction_id")]
    found = []
    for name in (*FIRST, *names):
        starts, lengths = runs(number[left])
        found.append(left[starts[lengths == 1]])
        left = left[np.repeat(lengths > 1, lengths)]
        if not len(left):
            break
        starts, lengths = runs(number[left])
        least = np.ones(len(left), bool)
        for column in sort_columns(given.column(name).take(pa.array(left))):
            best = np.minimum.reduceat(np.where(least, column, np.iinfo(np.int64).max), starts)
            least &= column == np.repeat(best, lengths)
        left = left[least]
    return np.concatenate([*found, left[runs(number[left])[0]]])


def _rows_of_ours(rows: PredictionRows, distinct: np.ndarray) -> np.ndarray:
    """Returns the distinct rows that are our model's, in the order of the files."""
    mine = np.zeros(len(rows.ours), bool)
    mine[distinct] = True
    return np.flatnonzero(mine & rows.ours)


def _ranks(given: Rows, rows: PredictionRows, mine: np.ndarray, classes: Words, consensus: Consensus) -> np.ndarray:
    """Applies rule 6 to the rows `mine`; 0 for null, -1 for a `≠`."""
    rank, label = np.zeros(len(mine), np.int32), consensus.label[rows.number[mine]]
    at = np.flatnonzero(label != NULL)
    codes, lengths = flatten_codes(given.column("top_labels").take(pa.array(mine[at])), classes)
    place, row = places_in_lists(lengths)
    hit = np.flatnonzero(codes == label[at[row]])
    found, first = np.unique(row[hit], return_index=True)
    rank[at] = -lengths
    rank[at[found]] = place[hit[first]] + 1
    unnamed = classes.code(UNNAMED)
    if unnamed != NULL:
        rank[at[(label[at] == unnamed) & (lengths > 0)]] = -1
    return rank


def _slices(given: Rows, mine: np.ndarray, question: Question) -> dict[str, pa.Array]:
    """Returns the value of each declared slice for the rows `mine`."""
    if not question.slices:
        return {}
    some = Rows(given.table.take(pa.array(mine)), PREDICTION)
    return {declared.name: slice_values(some, declared.expression) for declared in question.slices}


def _count_states(counts: PartCounts, rows: PredictionRows) -> None:
    """Counts the prediction rows by their state (rule 2)."""
    counts.rows["unknown_role"] = int((rows.ours & (rows.status == UNKNOWN_ROLE)).sum())
    ours = rows.ours & ~np.isin(rows.status, (OTHER_ROLE, UNKNOWN_ROLE))
    counts.rows["predictions"] = int(ours.sum())
    for name, status in (("invalid", INVALID), ("misfiled", MISFILED), ("future", FUTURE)):
        counts.rows[f"{name}_predictions"] = int((ours & (rows.status == status)).sum())
    counts.rows["impossible_predictions"] = int((ours & rows.impossible & (rows.status == OK)).sum())
    _note_times(counts, rows.known[rows.status == OK], rows.known[rows.status == FUTURE])


def _count_endings(counts: PartCounts, rows: LabelRows) -> None:
    """Counts how label rows ended (rule 3)."""
    n = np.bincount(rows.status, minlength=max(ENDINGS.values()) + 1).tolist()
    counts.rows |= {name: n[status] for name, status in ENDINGS.items()}
    counts.rows["labels"] = len(rows.status) - n[OTHER_MODEL]
    counted = ~np.isin(rows.status, (INVALID, MISFILED, OTHER_MODEL, FUTURE))
    counts.rows["impossible_labels"] = int((counted & rows.impossible).sum())
    _note_times(counts, rows.known[counted], rows.known[rows.status == FUTURE])


def _note_times(counts: PartCounts, early: np.ndarray, late: np.ndarray) -> None:
    """Notes when the last row that counts became known, and when the first that came too late did."""
    counts.known += [int(early.max())] if len(early) else []
    counts.future += [int(late.min())] if len(late) else []
