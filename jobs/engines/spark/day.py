"""The counts of a piece of a day: all rows of some of its prediction ids, counted in one task of the Spark engine.

A piece is a whole day, or, of a day that is too big for a task, the ids whose hash falls to it. The rules are those of the
docs/design.md#the-rules-of-counting, on numpy columns; no Python touches a single row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from contract.counts import TABLES, canonical
from contract.records import LABEL, PREDICTION
from jobs.engines.question import Question
from jobs.engines.spark.arrays import NULL, Words, compared, elements, flat, numbered, numbers, places
from jobs.engines.spark.cells import Facts
from jobs.engines.spark.cells import tables as counts_tables
from jobs.engines.spark.rows import OTHER_ROLE, PredictionRows, Rows, label_rows, prediction_rows
from jobs.engines.spark.slices import top_values, values
from jobs.engines.spark.votes import (
    ENDINGS,
    FUTURE,
    INVALID,
    MISFILED,
    OK,
    OTHER_MODEL,
    Consensus,
    LabelRows,
    decide,
    runs,
)

# The columns that first say which of several rows with one id is the prediction.
FIRST = ("predicted_at", "model_version", "predicted_label", "confidence")


@dataclass
class Piece:
    """What a task says of a piece: rows read, counts tables, rows of each kind, and when rows became known."""

    read: dict[str, int]
    tables: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    known: list[int] = field(default_factory=list)
    future: list[int] = field(default_factory=list)


def count(day: str, predictions: Any, labels: Any, question: Question) -> Piece:
    """The counts of a piece of that day; the rows as Arrow tables in the form of `Rows`."""
    given, said = Rows(predictions, PREDICTION), Rows(labels, LABEL)
    piece = Piece({"predictions": len(given), "labels": len(said)})
    classes = Words.of(given.column("predicted_label"), said.column("label"), elements(given.column("top_labels")))
    versions, people = Words.of(given.column("model_version")), Words.of(said.column("labeler"))
    given_ids, said_ids = given.ids("prediction_id"), said.ids("prediction_id")
    (given_number, said_number), many = numbered(given_ids, said_ids)
    rows = prediction_rows(given, given_ids, given_number, day, question, classes, versions)
    row_of = _distinct(piece, given, rows, many)
    voters = label_rows(said, said_ids, said_number, day, question, classes, people)
    has_prediction = row_of != NULL
    voters.status[(has_prediction & ~np.append(rows.ours, False)[row_of])[voters.number]] = OTHER_MODEL
    consensus, tally = decide(voters, has_prediction[:-1])
    _count_predictions(piece, rows)
    _count_labels(piece, voters)
    mine = _rows_of_ours(rows, row_of[has_prediction])
    confidence, rank = numbers(given.column("confidence"), np.nan)[mine], _ranks(given, rows, mine, classes, consensus)
    piece.tables = counts_tables(Facts(classes, versions, people, rows.version[mine], rows.predicted[mine], rows.number[mine],
                                confidence, rank, consensus, tally, voters, np.append(rows.t, 0)[row_of],
                                _slices(given, mine, question)))
    return piece


def added(pieces: Sequence[Piece]) -> Piece:
    """The counts of several pieces of one day, added."""
    import pyarrow as pa

    tables = {name: canonical(name, pa.concat_tables([p.tables[name] for p in pieces])) for name in TABLES}
    read, rows = ({name: sum(getattr(p, of)[name] for p in pieces) for name in getattr(pieces[0], of)} for of in ("read", "rows"))
    return Piece(read, tables, rows, [k for p in pieces for k in p.known], [k for p in pieces for k in p.future])


def of_day(piece: Piece) -> Piece:
    """A piece that is the whole day: of slices only the values that a day keeps."""
    return replace(piece, tables=piece.tables | {"slices": top_values(piece.tables["slices"])})


def _distinct(piece: Piece, given: Rows, rows: PredictionRows, many: int) -> Any:
    """The row of the distinct prediction with each number, NULL for none, and NULL once more at the end."""
    ok = np.flatnonzero(rows.status == OK)
    row_of = np.full(many + 1, NULL)
    row_of[rows.number[ok]] = ok
    again = ok[np.bincount(rows.number[ok], minlength=many)[rows.number[ok]] > 1]
    first = _first(given, again[np.argsort(rows.number[again], kind="stable")], rows.number)
    row_of[rows.number[first]] = first
    piece.rows["duplicate_predictions"] = int(rows.ours[again].sum() - rows.ours[first].sum())
    return row_of


def _first(given: Rows, left: Any, number: Any) -> Any:
    """Of prediction rows `left` in the order of their numbers the first of each number, column by column: only rows that
    are equal so far are looked at in the next, for lists are large."""
    import pyarrow as pa

    found, rest = [], [n for n in PREDICTION.names if n in given.table.column_names and n not in (*FIRST, "prediction_id")]
    for name in (*FIRST, *rest):
        starts, lengths = runs(number[left])
        found.append(left[starts[lengths == 1]])
        left = left[np.repeat(lengths > 1, lengths)]
        if not len(left):
            break
        starts, lengths = runs(number[left])
        least = np.ones(len(left), bool)
        for part in compared(given.column(name).take(pa.array(left))):
            best = np.minimum.reduceat(np.where(least, part, np.iinfo(np.int64).max), starts)
            least &= part == np.repeat(best, lengths)
        left = left[least]
    return np.concatenate([*found, left[runs(number[left])[0]]])


def _rows_of_ours(rows: PredictionRows, distinct: Any) -> Any:
    """The distinct rows that are our model's, in the order of the files."""
    mine = np.zeros(len(rows.ours), bool)
    mine[distinct] = True
    return np.flatnonzero(mine & rows.ours)


def _ranks(given: Rows, rows: PredictionRows, mine: Any, classes: Words, consensus: Consensus) -> Any:
    """Rule 6 for the rows `mine`; 0 for null."""
    import pyarrow as pa

    rank, label = np.zeros(len(mine), np.int32), consensus.label[rows.number[mine]]
    at = np.flatnonzero(label != NULL)
    codes, lengths = flat(given.column("top_labels").take(pa.array(mine[at])), classes)
    place, row = places(lengths)
    hit = np.flatnonzero(codes == label[at[row]])
    found, first = np.unique(row[hit], return_index=True)
    rank[at] = -lengths
    rank[at[found]] = place[hit[first]] + 1
    return rank


def _slices(given: Rows, mine: Any, question: Question) -> dict[str, Any]:
    """The value of each declared slice for the rows `mine`."""
    import pyarrow as pa

    if not question.slices:
        return {}
    some = Rows(given.table.take(pa.array(mine)), PREDICTION)
    return {declared.name: values(some, declared.expression) for declared in question.slices}


def _count_predictions(piece: Piece, rows: PredictionRows) -> None:
    """Rule 2 added up."""
    ours = rows.ours & (rows.status != OTHER_ROLE)
    piece.rows["predictions"] = int(ours.sum())
    for name, status in (("invalid", INVALID), ("misfiled", MISFILED), ("future", FUTURE)):
        piece.rows[f"{name}_predictions"] = int((ours & (rows.status == status)).sum())
    _times(piece, rows.known[rows.status == OK], rows.known[rows.status == FUTURE])


def _count_labels(piece: Piece, rows: LabelRows) -> None:
    """Rule 3 added up."""
    n = np.bincount(rows.status, minlength=max(ENDINGS.values()) + 1).tolist()
    piece.rows |= {name: n[status] for name, status in ENDINGS.items()}
    piece.rows["labels"] = len(rows.status) - n[OTHER_MODEL]
    counted = ~np.isin(rows.status, (INVALID, MISFILED, OTHER_MODEL, FUTURE))
    _times(piece, rows.known[counted], rows.known[rows.status == FUTURE])


def _times(piece: Piece, early: Any, late: Any) -> None:
    piece.known += [int(early.max())] if len(early) else []
    piece.future += [int(late.min())] if len(late) else []
