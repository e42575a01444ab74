"""What docs/design.md#rule-2-prediction-rows and docs/design.md#rule-3-label-rows say of each row by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.counts import ORIGINS, WEIGHT_SCALE
from contract.records import TableSchema, arrow_type
from jobs.engines.question import Question
from jobs.engines.spark.arrays import NULL, Words, misfiled, numbered, numbers, present, ranks, truths, whole
from jobs.engines.spark.votes import FUTURE, INVALID, MISFILED, OK, OTHER_MODEL, LabelRows

NEVER = np.iinfo(np.int64).min
OTHER_ROLE = OTHER_MODEL  # of a prediction row; its other kinds have the names of a label row's
IDS = ("prediction_id", "label_id")  # plain texts; the others may be dictionaries
# The columns that settle ties of time among label rows, in turn.
TIES = ("label_id", "label", "labeler", "recorded_at", "origin", "saw_prediction", "withdraws", "selection_probability",
        "strategy", "actor")


class Rows:
    """The rows of a table; a column that no file has is full of nulls."""

    def __init__(self, table: Any, record: TableSchema) -> None:
        self.table, self.record = table, record

    def __len__(self) -> int:
        return self.table.num_rows

    def column(self, name: str) -> Any:
        """A column as the files have it, times as int64 us since 1970."""
        return self.table.column(name) if name in self.table.column_names else nulls(self.record, name, len(self))

    def ids(self, name: str) -> Any:
        """A column of ids in one piece; an empty id counts as null."""
        import pyarrow.compute as pc

        found = whole(self.column(name))
        empty = pc.equal(found, "")
        return pc.if_else(empty, None, found) if pc.any(empty).as_py() else found

    def known(self, event: str) -> Any:
        """When each row became known; NEVER without any time."""
        return np.maximum(numbers(self.column(event), NEVER), numbers(self.column("recorded_at"), NEVER))


def nulls(record: TableSchema, name: str, size: int) -> Any:
    """A column of nulls in the form of `Rows.column`."""
    import pyarrow as pa

    kinds = {"timestamp": pa.int64(), "string": pa.string() if name in IDS else pa.dictionary(pa.int32(), pa.string()),
             "map<string,string>": entries()}
    kind = record.field(name).type
    return pa.nulls(size, kinds.get(kind) or arrow_type(kind))


def entries() -> Any:
    """The Arrow type of a map's entries: what Spark makes of a map that is to be ordered."""
    import pyarrow as pa

    return pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))


@dataclass
class PredictionRows:
    """Prediction rows, a column each."""

    number: Any  # of the id; NULL for null
    status: Any  # uint8
    ours: Any
    t: Any  # us since 1970
    known: Any  # us since 1970
    version: Any  # code
    predicted: Any  # code


def prediction_rows(given: Rows, ids: Any, number: Any, day: str, question: Question, classes: Words,
                    versions: Words) -> PredictionRows:
    """Prediction rows of the day with rule 2 for each by itself; `number` of the `ids`."""
    models, roles = (Words.of(given.column(c)) for c in ("model", "role"))
    model, role = models.codes(given.column("model")), roles.codes(given.column("role"))
    version, predicted = versions.codes(given.column("model_version")), classes.codes(given.column("predicted_label"))
    t, known = given.column("predicted_at"), given.known("predicted_at")
    empty = _empty(models, model) | _empty(versions, version) | _empty(classes, predicted)
    status = np.full(len(given), OK, np.uint8)
    status[known > question.as_of] = FUTURE
    status[misfiled(ids, day)] = MISFILED
    status[(number == NULL) | ~present(t) | empty] = INVALID
    status[~(_is(roles, role, question.role) | ((role == NULL) & (question.role == "live")))] = OTHER_ROLE
    return PredictionRows(number, status, _is(models, model, question.model), numbers(t, 0), known, version, predicted)


def _is(words: Words, codes: Any, text: str) -> Any:
    """Which values are this text."""
    return (codes == words.code(text)) & (codes != NULL)


def _empty(words: Words, codes: Any) -> Any:
    """Which values are null or empty."""
    return (codes == NULL) | (codes == words.code(""))


def label_rows(said: Rows, ids: Any, number: Any, day: str, question: Question, classes: Words, people: Words) -> LabelRows:
    """Label rows of the day with rule 3 for each by itself; `number` of the prediction `ids`."""
    label, labeler, t = classes.codes(said.column("label")), people.codes(said.column("labeler")), said.column("labeled_at")
    withdraws, saw = numbers(said.column("withdraws"), False), truths(said.column("saw_prediction"))
    known = said.known("labeled_at")
    status = np.full(len(said), OK, np.uint8)
    status[known > question.as_of] = FUTURE
    status[misfiled(ids, day)] = MISFILED
    status[(number == NULL) | ~present(t) | (_empty(classes, label) & ~withdraws)] = INVALID
    return LabelRows(
        number=number, status=status, t=numbers(t, 0), known=known, label=label, labeler=labeler, withdraws=withdraws, saw=saw,
        origin=origin_classes(said.column("origin"), saw), weight=_weights(people, question.labeler_weights)[labeler],
        probability=numbers(said.column("selection_probability"), np.nan), label_id=_Numbers(said),
        columns=[_Ranks(said, name) for name in TIES])


def origin_classes(column: Any, saw: Any) -> Any:
    """Rule 4's class of each row: the place in ORIGINS of its origin's word."""
    words, place = Words.of(column), {name: n for n, name in enumerate(ORIGINS)}
    of_word = np.array([*(place.get(text, place["feedback"]) for text in words.texts.to_pylist()), place["import"]], np.int8)
    found = of_word[words.codes(column)]
    return np.where((found == place["audit"]) & (saw != 0), place["review"], found).astype(np.int8)


def _weights(people: Words, given: Mapping[str, int]) -> Any:
    """The weight of each labeler's code, and of nobody's at the end."""
    return np.array([*(given.get(who, WEIGHT_SCALE) for who in people.texts.to_pylist()), WEIGHT_SCALE], np.int64)


@dataclass
class _Numbers:
    """The numbers of some rows' label_ids."""

    rows: Rows

    def __call__(self, of: Any) -> Any:
        import pyarrow as pa

        return numbered(self.rows.ids("label_id").take(pa.array(of)))[0][0]


@dataclass
class _Ranks:
    """The ranks of some rows' values in a column."""

    rows: Rows
    name: str

    def __call__(self, of: Any) -> Any:
        import pyarrow as pa

        column = self.rows.ids(self.name) if self.name in IDS else whole(self.rows.column(self.name))
        return ranks(column.take(pa.array(of)))
