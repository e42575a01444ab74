"""The rules of counting (docs/design.md#the-rules-of-counting) in plain Python, for the rows of one prediction id on one day.

The mapreduce engine's reducer is this file. Rows are dicts by column name; times are microseconds since 1970 UTC; a
column that is missing or null is None. Nothing here knows files, mrjob or Arrow.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from contract import ids
from contract.clock import MS_PER_DAY, US_PER_DAY, US_PER_HOUR
from contract.counts import BINS, CONFIDENCE_SCALE, ORIGINS, SMALLEST_P, WEIGHT_SCALE
from contract.records import LABEL, PREDICTION
from jobs.engines.question import Question, band

Row = dict[str, Any]
Record = tuple[str, tuple, tuple]  # table, key columns, value columns; records of one key add up

KEPT_FIRST = ("predicted_at", "model_version", "predicted_label", "confidence")
LATER = ("labeled_at", "label_id", "label")


def columns_first(record: Any, *first: str) -> list[str]:
    """All columns of a record, `first` ones first: the order of rows, with the ties that remain."""
    return [*first, *(n for n in record.names if n not in first)]


PREDICTION_ORDER = columns_first(PREDICTION, *KEPT_FIRST)
LABEL_ORDER = columns_first(LABEL, *LATER)


def order(value: Any) -> tuple:
    """A sort key: nulls first, numbers ascending, NaN last, strings by their UTF-8 bytes, lists item by item."""
    if value is None:
        return (0,)
    if isinstance(value, float) and math.isnan(value):
        return (2,)
    if isinstance(value, dict):  # a map has no order of its own
        return (1, tuple((order(k), order(v)) for k, v in sorted(value.items())))
    if isinstance(value, list | tuple):
        return (1, tuple(order(item) for item in value))
    return (1, value)  # code points sort as their UTF-8 bytes do


def in_order(rows: Iterable[Row], columns: list[str]) -> list[Row]:
    """The rows, sorted by those columns."""
    return sorted(rows, key=lambda row: tuple(order(row.get(c)) for c in columns))


def known_at(event: int, recorded: int | None) -> int:
    """When a row became known: the later of event time and `recorded_at`."""
    return event if recorded is None else max(event, recorded)


def is_misfiled(prediction_id: str, day_number: int) -> bool:
    """Whether the id is a UUIDv7 of another day; `day_number` counts days since 1970."""
    return ids.is_uuid7(prediction_id) and int(prediction_id[:8] + prediction_id[9:13], 16) // MS_PER_DAY != day_number


def prediction_status(row: Row, day_number: int, question: Question) -> str | None:
    """What a prediction row is by itself (rule 2): a name in ROWS, 'ok' (distinct or duplicate), None: another role."""
    if row.get("role") != question.role and not (row.get("role") is None and question.role == "live"):
        return None
    if row["predicted_at"] is None or not all(row[c] for c in ("prediction_id", "model", "model_version",
                                                               "predicted_label")):
        return "invalid_predictions"
    if is_misfiled(row["prediction_id"], day_number):
        return "misfiled_predictions"
    known = known_at(row["predicted_at"], row.get("recorded_at"))
    return "ok" if known <= question.as_of else "future_predictions"


def label_status(row: Row, day_number: int, question: Question) -> str:
    """What a label row is by itself (rule 3), before its prediction is looked at: a name in ROWS, or 'ok'."""
    if not row["prediction_id"] or row["labeled_at"] is None or not (row["label"] or row.get("withdraws")):
        return "invalid"
    if is_misfiled(row["prediction_id"], day_number):
        return "misfiled"
    return "ok" if known_at(row["labeled_at"], row.get("recorded_at")) <= question.as_of else "future"


def origin_class(row: Row) -> str:
    """Rule 4: the class of a label row's origin."""
    origin = row.get("origin")
    if origin is None:
        return "import"
    if origin == "audit" and row.get("saw_prediction") is not False:
        return "review"
    return origin if origin in ORIGINS else "feedback"


def judge(predictions: list[Row], labels: list[tuple[str, Row]], question: Question) -> Iterator[Record]:
    """All records of one prediction id: its known prediction rows, and its label rows with their `label_status`."""
    kept = in_order(predictions, PREDICTION_ORDER)[0] if predictions else None
    duplicates = Counter(row["model"] for row in predictions)
    if kept:
        duplicates[kept["model"]] -= 1
    if duplicates[question.model]:
        yield _rows("duplicate_predictions", duplicates[question.model])
    if kept and kept["model"] != question.model:
        if labels:
            yield _rows("other_model", len(labels))
        return
    votes = yield from _votes(kept, labels, question)
    if kept:
        yield from _count(kept, votes, question)


def _rows(name: str, n: int) -> Record:
    return "rows", (name,), (n,)


def _votes(kept: Row | None, labels: list[tuple[str, Row]], question: Question) -> Iterator[Record]:
    """Sorts label rows into their kinds (rule 3), yields how many, returns those that are votes."""
    found: Counter[str] = Counter(status for status, _ in labels if status != "ok")
    for status, row in labels:
        if status in ("ok", "future"):
            yield "known", (), (known_at(row["labeled_at"], row.get("recorded_at")),)
    rows = in_order((row for status, row in labels if status == "ok"), LABEL_ORDER)
    distinct = list(_distinct(rows))
    found["duplicate"] = len(rows) - len(distinct)
    votes: list[Row] = []
    if kept is None:
        found["orphan"] = len(distinct)
    else:
        newest = {(origin_class(row), row["labeler"]): row for row in distinct}
        found["superseded"] = len(distinct) - len(newest)
        votes = [row for row in newest.values() if not row.get("withdraws")]
        found["withdrawn"] = len(newest) - len(votes)
    found["vote"] = len(votes)
    found["labels"] = len(labels)
    yield from (_rows(name, n) for name, n in found.items() if n)
    return votes


def _distinct(rows: list[Row]) -> Iterator[Row]:
    """The first of each label_id; without one, one of those that are equal in every column. `rows` are in order."""
    seen = set()
    for row in rows:
        same = row["label_id"] or tuple(order(row.get(c)) for c in LABEL_ORDER)
        if same not in seen:
            seen.add(same)
            yield row


def _count(kept: Row, votes: list[Row], question: Question) -> Iterator[Record]:
    """Everything that one distinct prediction of our model adds."""
    highest = min((ORIGINS.index(origin_class(row)) for row in votes), default=None)
    deciding = [row for row in votes if ORIGINS.index(origin_class(row)) == highest]
    label = consensus(deciding, question) if deciding else None
    origin = ORIGINS[highest] if deciding else None
    yield "cells", *_cell(kept, deciding, label, origin)
    for declared in question.slices:
        value = slice_value(kept, declared.expression)
        key = (declared.name, value, kept["model_version"], origin, kept["predicted_label"], label)
        yield "slices", key, (1,)
    for row in votes:
        yield "people", (row["labeler"],), (1, int(row["label"] == label))
        yield "delays", ((row["labeled_at"] - kept["predicted_at"]) // US_PER_DAY, origin_class(row)), (1,)
    yield from _coincidences(Counter(row["label"] for row in deciding))


def consensus(deciding: list[Row], question: Question) -> str:
    """Rule `majority`: most (weighted) votes, then the label whose newest vote is newest, then the first by bytes."""
    weight: dict[str, int] = defaultdict(int)
    newest: dict[str, int] = {}
    for row in deciding:
        label = row["label"]
        weight[label] += question.labeler_weights.get(row["labeler"], WEIGHT_SCALE)
        newest[label] = max(newest.get(label, row["labeled_at"]), row["labeled_at"])
    return min(weight, key=lambda label: (-weight[label], -newest[label], label))


def _cell(kept: Row, deciding: list[Row], label: str | None, origin: str | None) -> tuple[tuple, tuple]:
    bin_ = confidence_bin(kept["confidence"])
    rank = rank_of(label, kept.get("top_labels")) if deciding else None
    split = len({row["label"] for row in deciding}) > 1 if deciding else None
    key = (kept["model_version"], kept["predicted_label"], bin_, label, origin, _saw(deciding), rank, split)
    weight = weight_of(in_order(deciding, LABEL_ORDER)[0].get("selection_probability")) if deciding else None
    confidence = 0 if bin_ is None else math.floor(kept["confidence"] * CONFIDENCE_SCALE)
    return key, (1, confidence, int(weight is not None), weight or 0, (weight or 0) ** 2)


def _saw(deciding: list[Row]) -> bool | None:
    seen = {row.get("saw_prediction") for row in deciding}
    if True in seen:
        return True
    return None if None in seen or not seen else False


def weight_of(p: float | None) -> int | None:
    """floor(2^16 / p); None (unknown) when p is null, NaN or outside [2^-20, 1]."""
    return math.floor(WEIGHT_SCALE / p) if p is not None and SMALLEST_P <= p <= 1 else None


def confidence_bin(confidence: float | None) -> int | None:
    """Rule 5: the largest k of 0…19 with k/20 <= confidence; None for NaN, null or outside [0, 1]."""
    if confidence is None or not 0 <= confidence <= 1:
        return None
    return max(k for k in range(BINS) if k / BINS <= confidence)


def rank_of(label: str | None, top_labels: list | None) -> int | None:
    """Rule 6: 1-based place of the label; minus the list's length when it is not in it; None without a list."""
    if not top_labels:
        return None
    return top_labels.index(label) + 1 if label in top_labels else -len(top_labels)


def slice_value(kept: Row, expression: str) -> str | None:
    """The value of a declared slice (jobs/engines/question.py) for one prediction."""
    if expression.startswith("attributes."):
        return (kept.get("attributes") or {}).get(expression.removeprefix("attributes."))
    if expression == "hour":
        return f"{kept['predicted_at'] % US_PER_DAY // US_PER_HOUR:02d}"
    if expression == "image_size":
        return band(expression, max((n for n in (kept.get("width"), kept.get("height")) if n is not None), default=None))
    return band(expression, kept.get("latency_ms")) if expression == "latency" else kept.get(expression)


def _coincidences(votes: Counter[str]) -> Iterator[Record]:
    """Ordered pairs of different votes on one item that has two or more."""
    m = votes.total()
    if m < 2:
        return
    for a, of_a in votes.items():
        for b, of_b in votes.items():
            n = of_a * (of_a - 1) if a == b else of_a * of_b
            if n:
                yield "coincidences", (a, b, m), (n,)
