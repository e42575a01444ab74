"""Rules 2 and 3 as far as they follow from each row alone (docs/design.md#the-rules-of-counting)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.counts import EARLIEST, ORIGINS, ROUNDING, UNNAMED, WEIGHT_SCALE
from contract.records import TableSchema, arrow_type
from jobs.engines.arrays import NULL, Column, Words, booleans, join_chunks
from jobs.engines.question import Question
from jobs.engines.spark.arrays import first_codes, is_misfiled, number_texts, numbers, present, ranks
from jobs.engines.spark.scores import Scoring
from jobs.engines.spark.votes import FUTURE, INVALID, MISFILED, OK, ORPHAN, OTHER_MODEL, LabelRows

NEVER = np.iinfo(np.int64).min
OTHER_ROLE, UNKNOWN_ROLE = OTHER_MODEL, ORPHAN  # of a prediction row; its other kinds have the names of a label row's
IDS = ("prediction_id", "label_id")  # stored as texts; other texts may be dictionaries
# The columns that settle ties of time among label rows, in turn.
TIES = ("label_id", "label", "labeler", "recorded_at", "origin", "saw_prediction", "shown_label", "withdraws",
        "selection_probability", "strategy", "actor")


class Rows:
    """The rows of a table; a column that no file has is full of nulls."""

    def __init__(self, table: pa.Table, record: TableSchema) -> None:
        self.table, self.record = table, record

    def __len__(self) -> int:
        return self.table.num_rows

    def column(self, name: str) -> Column:
        """Returns a column as the files have it, times as int64 us since 1970."""
        return self.table.column(name) if name in self.table.column_names else nulls(self.record, name, len(self))

    def ids(self, name: str) -> pa.StringArray:
        """Returns a column of ids as one array; an empty id counts as null."""
        found = join_chunks(self.column(name))
        empty = pc.equal(found, "")
        return pc.if_else(empty, None, found) if pc.any(empty).as_py() else found

    def find_known_times(self, event: str) -> np.ndarray:
        """Returns when each row became known; NEVER without any time."""
        return np.maximum(numbers(self.column(event), NEVER), numbers(self.column("recorded_at"), NEVER))


def nulls(record: TableSchema, name: str, size: int) -> pa.Array:
    """Makes a column of nulls in the form of `Rows.column`."""
    text = pa.string() if name in IDS else pa.dictionary(pa.int32(), pa.string())
    kinds = {"timestamp": pa.int64(), "string": text, "map<string,string>": entries_type()}
    kind = record.field(name).type
    return pa.nulls(size, kinds.get(kind) or arrow_type(kind))


def entries_type() -> pa.DataType:
    """Returns the Arrow type of a map's entries: what Spark makes of a map that is to be ordered."""
    return pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))


@dataclass
class PredictionRows:
    """Prediction rows, a column each."""

    number: np.ndarray  # of the id; NULL for null
    status: np.ndarray  # uint8
    ours: np.ndarray
    t: np.ndarray  # us since 1970
    known: np.ndarray  # us since 1970
    version: np.ndarray  # code
    predicted: np.ndarray  # code
    impossible: np.ndarray  # which hold a value that cannot be


def prediction_rows(given: Rows, ids: pa.StringArray, number: np.ndarray, day: str, question: Question, classes: Words,
                    versions: Words) -> PredictionRows:
    """Applies rule 2 to each prediction row of the day by itself; `number` of the `ids`."""
    models = Words.of(given.column("model"))
    model = models.codes(given.column("model"))
    version, predicted = versions.codes(given.column("model_version")), classes.codes(given.column("predicted_label"))
    t, known = given.column("predicted_at"), given.find_known_times("predicted_at")
    empty = _is_empty(models, model) | _is_empty(versions, version) | _is_empty(classes, predicted)
    status = np.full(len(given), OK, np.uint8)
    status[known > question.as_of] = FUTURE
    status[is_misfiled(ids, day)] = MISFILED
    status[(number == NULL) | ~present(t) | empty | _is_text(classes, predicted, UNNAMED)] = INVALID
    role = _judge_roles(given.column("role"), question)
    status = np.where(role == OK, status, role)
    if question.version is not None:
        status[(role == OK) & ~_is_text(versions, version, question.version)] = OTHER_ROLE
    ours = _is_text(models, model, question.model)
    first, has_first = first_codes(given.column("top_labels"), classes)
    impossible = _is_impossible(numbers(t, 0), given.column("confidence")) | (has_first & (first != predicted))
    return PredictionRows(number, status, ours, numbers(t, 0), known, version, predicted, impossible)


def _is_impossible(t: np.ndarray, probability: Column) -> np.ndarray:
    """Says which rows have a time before 2000, or a probability that is none, by more than rounding; null says nothing."""
    p = numbers(probability, 0.0)
    return (t < EARLIEST) | ~((p >= -ROUNDING) & (p <= 1 + ROUNDING))


def _judge_roles(column: Column, question: Question) -> np.ndarray:
    """Returns OK for each row of the role that is counted, else OTHER_ROLE or UNKNOWN_ROLE."""
    words = Words.of(column)
    roles = [question.resolve_role(word) for word in (*words.texts.to_pylist(), None)]
    kinds = [OK if role == question.role else OTHER_ROLE if role else UNKNOWN_ROLE for role in roles]
    return np.array(kinds, np.uint8)[words.codes(column)]  # a null's -1 is the last place


def _is_text(words: Words, codes: np.ndarray, text: str) -> np.ndarray:
    """Says which values are this text."""
    return (codes == words.code(text)) & (codes != NULL)


def _is_empty(words: Words, codes: np.ndarray) -> np.ndarray:
    """Says which values are null or empty."""
    return (codes == NULL) | (codes == words.code(""))


def label_rows(said: Rows, ids: pa.StringArray, number: np.ndarray, day: str, question: Question, classes: Words,
               people: Words) -> LabelRows:
    """Applies rule 3 to each label row of the day by itself; `number` of the prediction `ids`."""
    label, labeler = classes.codes(said.column("label")), people.codes(said.column("labeler"))
    unnamed = _is_text(classes, label, UNNAMED)
    withdraws, saw = numbers(said.column("withdraws"), False), booleans(said.column("saw_prediction"))
    t, known = said.column("labeled_at"), said.find_known_times("labeled_at")
    status = np.full(len(said), OK, np.uint8)
    status[known > question.as_of] = FUTURE
    status[is_misfiled(ids, day)] = MISFILED
    status[(number == NULL) | ~present(t) | (_is_empty(classes, label) & ~withdraws)] = INVALID
    return LabelRows(
        number=number, status=status, t=numbers(t, 0), known=known, label=label, labeler=labeler, withdraws=withdraws,
        impossible=_is_impossible(numbers(t, 0), said.column("selection_probability")),
        saw=saw, origin=origin_classes(said.column("origin"), np.where(unnamed, 1, saw)), unnamed=unnamed,
        shown=classes.codes(said.column("shown_label")), has_shown=present(said.column("shown_label")),
        weight=_weights_by_code(people, question.labeler_weights)[labeler],
        probability=numbers(said.column("selection_probability"), np.nan), label_id=_LabelIdNumbers(said),
        columns=[_ColumnRanks(said, name) for name in TIES],
        scoring=Scoring.of(question.scores, people, classes) if question.scores else None)


def origin_classes(column: Column, saw: np.ndarray) -> np.ndarray:
    """Returns rule 4's class of each row: the place in ORIGINS of its origin's word."""
    words, place = Words.of(column), {name: n for n, name in enumerate(ORIGINS)}
    of_word = np.array([*(place.get(text, place["feedback"]) for text in words.texts.to_pylist()), place["import"]], np.int8)
    found = of_word[words.codes(column)]
    return np.where((found == place["audit"]) & (saw != 0), place["review"], found).astype(np.int8)


def _weights_by_code(people: Words, weights: Mapping[str, int]) -> np.ndarray:
    """Returns the weight of each labeler's code, and at the end that of votes without a labeler."""
    return np.array([*(weights.get(who, WEIGHT_SCALE) for who in people.texts.to_pylist()), WEIGHT_SCALE], np.int64)


@dataclass
class _LabelIdNumbers:
    """Numbers the label_ids of some rows: only rows that share a prediction are asked for."""

    rows: Rows

    def __call__(self, at: np.ndarray) -> np.ndarray:
        return number_texts(self.rows.ids("label_id").take(pa.array(at)))[0][0]


@dataclass
class _ColumnRanks:
    """Ranks some rows' values in a column: only rows that tie in time are asked for."""

    rows: Rows
    name: str

    def __call__(self, at: np.ndarray) -> np.ndarray:
        column = self.rows.ids(self.name) if self.name in IDS else join_chunks(self.rows.column(self.name))
        return ranks(column.take(pa.array(at)))
