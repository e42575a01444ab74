"""The rules of counting (docs/design.md#the-rules-of-counting) in plain Python, for the rows of one prediction id.

All rows are of one day. The mapreduce engine's reducer is this file. Rows are dicts by column name; times are
microseconds since 1970 UTC; a column that is missing or null is None. Nothing here knows files, mrjob or Arrow.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from contract import ids
from contract.clock import MS_PER_DAY, US_PER_DAY, US_PER_HOUR
from contract.counts import BINS, CONFIDENCE_SCALE, EARLIEST, ORIGINS, ROUNDING, SMALLEST_P, UNNAMED, WEIGHT_SCALE
from contract.records import LABEL, PREDICTION, TableSchema
from jobs.engines.question import Question, name_band
from jobs.engines.scores import EVERYBODY, LabelerScores

Row = dict[str, Any]
Record = tuple[str, tuple, tuple]  # table, key columns, value columns; records of one key add up

KEPT_FIRST = ("predicted_at", "model_version", "predicted_label", "confidence")
LATER = ("labeled_at", "label_id", "label")


def columns_first(record: TableSchema, *first: str) -> list[str]:
    """Returns all columns of a record, `first` ones first: the order of rows, with the ties that remain."""
    return [*first, *(n for n in record.names if n not in first)]


PREDICTION_ORDER = columns_first(PREDICTION, *KEPT_FIRST)
LABEL_ORDER = columns_first(LABEL, *LATER)


def sort_key(value: Any) -> tuple:
    """Returns a sort key: nulls first, numbers ascending, NaN last, strings by their UTF-8 bytes, lists element by element."""
    if value is None:
        return (0,)
    if isinstance(value, float) and math.isnan(value):
        return (2,)
    if isinstance(value, dict):  # a map has no order of its own
        return (1, tuple((sort_key(k), sort_key(v)) for k, v in sorted(value.items())))
    if isinstance(value, list | tuple):
        return (1, tuple(sort_key(item) for item in value))
    return (1, value)  # code points sort as their UTF-8 bytes do


def in_order(rows: Iterable[Row], columns: list[str]) -> list[Row]:
    """Sorts rows by these columns."""
    return sorted(rows, key=lambda row: tuple(sort_key(row.get(c)) for c in columns))


def find_known_time(event: int, recorded: int | None) -> int:
    """Returns when a row became known: the later of event time and `recorded_at`."""
    return event if recorded is None else max(event, recorded)


def is_misfiled(prediction_id: str, day_number: int) -> bool:
    """Says whether the id is a UUIDv7 of another day; `day_number` counts days since 1970."""
    return ids.is_uuid7(prediction_id) and int(prediction_id[:8] + prediction_id[9:13], 16) // MS_PER_DAY != day_number


def prediction_status(row: Row, day_number: int, question: Question) -> str | None:
    """Applies rule 2 to a prediction row by itself.

    Returns 'ok' (it is distinct, or a duplicate), a name in ROWS, or None when the row has another role or version.
    """
    role = question.resolve_role(row.get("role"))
    if role != question.role or question.version not in (None, row["model_version"]):
        return None if role else "unknown_role"
    if row["predicted_at"] is None or row["predicted_label"] == UNNAMED or not all(
            row[c] for c in ("prediction_id", "model", "model_version", "predicted_label")):
        return "invalid_predictions"
    if is_misfiled(row["prediction_id"], day_number):
        return "misfiled_predictions"
    known = find_known_time(row["predicted_at"], row.get("recorded_at"))
    return "ok" if known <= question.as_of else "future_predictions"


def label_status(row: Row, day_number: int, question: Question) -> str:
    """Applies rule 3 to a label row by itself, before its prediction is looked at: a name in ROWS, or 'ok'."""
    if not row["prediction_id"] or row["labeled_at"] is None or not (row["label"] or row.get("withdraws")):
        return "invalid"
    if is_misfiled(row["prediction_id"], day_number):
        return "misfiled"
    return "ok" if find_known_time(row["labeled_at"], row.get("recorded_at")) <= question.as_of else "future"


def is_impossible_prediction(row: Row) -> bool:
    """Says whether a prediction row with status 'ok' holds a value that cannot be."""
    top = row.get("top_labels") or [row["predicted_label"]]
    return (row["predicted_at"] < EARLIEST or is_no_probability(row["confidence"])
            or top[0] != row["predicted_label"])


def is_impossible_label(row: Row) -> bool:
    """Says whether a label row with status 'ok' holds a value that cannot be."""
    return row["labeled_at"] < EARLIEST or is_no_probability(row.get("selection_probability"))


def is_no_probability(value: float | None) -> bool:
    """Says whether a value is NaN, or outside [0, 1] by more than rounding; null says nothing."""
    return value is not None and not -ROUNDING <= value <= 1 + ROUNDING


def origin_class(row: Row) -> str:
    """Returns the class of a label row's origin (rule 4), one of ORIGINS; nobody rejects an answer unseen (4a)."""
    origin = row.get("origin")
    if origin is None:
        return "import"
    if origin == "audit" and (row.get("saw_prediction") is not False or row.get("label") == UNNAMED):
        return "review"
    return origin if origin in ORIGINS else "feedback"


@dataclass(frozen=True)
class LabelOutcome:
    """What the label rows of one prediction come to: rules 3 and 4."""

    endings: Mapping[str, int]  # how many rows ended as what: a name in ROWS -> number of rows
    votes: list[Row]
    deciding: list[Row]  # the votes of the highest origin class among them
    origin: str | None  # that class; None without votes, as is the next
    label: str | None  # the consensus
    counted_for: Mapping[str, int] = field(default_factory=dict)  # label -> deciding votes that count for it (4a)


def count_prediction_id(predictions: list[Row], labels: list[tuple[str, Row]], question: Question) -> Iterator[Record]:
    """Yields all records of one prediction id.

    `predictions` are its known prediction rows, `labels` its label rows, each with its `label_status`.
    """
    kept = in_order(predictions, PREDICTION_ORDER)[0] if predictions else None
    duplicates = Counter(row["model"] for row in predictions)
    if kept:
        duplicates[kept["model"]] -= 1
    if duplicates[question.model]:
        yield _row_count("duplicate_predictions", duplicates[question.model])
    if kept and kept["model"] != question.model:
        if labels:
            yield _row_count("other_model", len(labels))
        return
    for status, row in labels:
        if status in ("ok", "future"):
            yield "known", (), (find_known_time(row["labeled_at"], row.get("recorded_at")),)
        if status == "ok" and is_impossible_label(row):
            yield _row_count("impossible_labels", 1)
    verdict = resolve_labels(kept, labels, question)
    yield from (_row_count(name, n) for name, n in verdict.endings.items() if n)
    if kept:
        yield from _count_prediction(kept, verdict, question)


def list_prediction_id(predictions: list[Row], labels: list[tuple[str, Row]], question: Question) -> Iterator[Record]:
    """Yields what one prediction id is among the items (contract/rows/items.py), and when its label rows became known.

    The value of a record of table `items` is one dict: the item, times as whole microseconds, the confidence as text.
    """
    kept = in_order(predictions, PREDICTION_ORDER)[0] if predictions else None
    if kept and kept["model"] != question.model:
        return
    for status, row in labels:
        if status in ("ok", "future"):
            yield "known", (), (find_known_time(row["labeled_at"], row.get("recorded_at")),)
    verdict = resolve_labels(kept, labels, question)
    if kept and verdict.votes:
        yield "items", (kept["prediction_id"],), (_make_item(kept, verdict),)


def _make_item(kept: Row, verdict: LabelOutcome) -> dict[str, Any]:
    """Returns one item by the names of its columns."""
    p = in_order(verdict.deciding, LABEL_ORDER)[0].get("selection_probability")
    votes = [{"labeler": row["labeler"], "label": row["label"], "labeled_at": row["labeled_at"], "origin": origin_class(row),
              "saw_prediction": row.get("saw_prediction"),
              "selection_probability": _keep_weighty(row.get("selection_probability"))}
             for row in in_order(verdict.votes, LABEL_ORDER)]
    confidence = kept["confidence"]
    return {"prediction_id": kept["prediction_id"], "model_version": kept["model_version"],
            "predicted": kept["predicted_label"], "confidence": None if confidence is None else repr(float(confidence)),
            "label": verdict.label, "origin": verdict.origin, "split": len(verdict.counted_for) > 1,
            "selection_probability": _keep_weighty(p), "image_sha256": kept.get("image_sha256"),
            "image_uri": kept.get("image_uri"), "client": kept.get("client"), "votes": votes}


def _keep_weighty(p: float | None) -> float | None:
    """Returns a selection probability; None where it gives no weight."""
    return p if weight_of(p) is not None else None


def resolve_labels(kept: Row | None, labels: list[tuple[str, Row]], question: Question) -> LabelOutcome:
    """Decides how each label row of one prediction ends (rule 3) and what the votes agree on (rule 4).

    `kept` is the prediction, None when there is none; `labels` are its label rows, each with its `label_status`.
    """
    endings, votes = _end_rows(kept, labels, question)
    if not votes:
        return LabelOutcome(endings, [], [], None, None)
    assert kept is not None, "labels without a prediction are orphans, no votes"
    return agree(kept, votes, question, endings)


def agree(kept: Row, votes: list[Row], question: Question, endings: Mapping[str, int] = MappingProxyType({})) -> LabelOutcome:
    """Decides what the votes on one prediction agree on (rule 4); `votes` are at least one, `kept` needs `predicted_label`."""
    highest = min(ORIGINS.index(origin_class(row)) for row in votes)
    deciding = [row for row in votes if ORIGINS.index(origin_class(row)) == highest]
    counted_for = find_targets(kept, deciding, question)
    chosen = choose_label(deciding, counted_for, question)
    return LabelOutcome(endings, votes, deciding, ORIGINS[highest], chosen, Counter(counted_for))


def _end_rows(kept: Row | None, labels: list[tuple[str, Row]], question: Question) -> tuple[Counter[str], list[Row]]:
    """Sorts label rows into their kinds (rule 3); returns how many there are of each, and those that are votes."""
    endings: Counter[str] = Counter(status for status, _ in labels if status != "ok")
    rows = in_order((row for status, row in labels if status == "ok"), LABEL_ORDER)
    distinct = list(drop_duplicates(rows))
    endings["duplicate"] = len(rows) - len(distinct)
    votes: list[Row] = []
    if kept is None:
        endings["orphan"] = len(distinct)
    else:
        of_this = [row for row in distinct if not judges_other_answer(kept, row, question)]
        endings["other_answer"] = len(distinct) - len(of_this)
        newest = {(origin_class(row), row["labeler"]): row for row in of_this}
        endings["superseded"] = len(of_this) - len(newest)
        votes = [row for row in newest.values() if not row.get("withdraws")]
        endings["withdrawn"] = len(newest) - len(votes)
    endings["vote"] = len(votes)
    endings["labels"] = len(labels)
    return endings, votes


def drop_duplicates(rows: list[Row]) -> Iterator[Row]:
    """Yields the first row of each label_id, and one of those without it that are equal in every column.

    `rows` are in order.
    """
    seen = set()
    for row in rows:
        same = row.get("label_id") or tuple(sort_key(row.get(c)) for c in LABEL_ORDER)
        if same not in seen:
            seen.add(same)
            yield row


def judges_other_answer(kept: Row, row: Row, question: Question) -> bool:
    """Says whether a `≠` rejects another answer than the prediction's (rule 4a): null means the live row's."""
    if row["label"] != UNNAMED:
        return False
    shown = row.get("shown_label")
    return question.role != "live" if shown is None else shown != kept["predicted_label"]


def find_targets(kept: Row, deciding: list[Row], question: Question) -> list[str]:
    """Returns the label that each deciding vote counts for (rule 4a).

    That of a `≠` is the leading named label other than the predicted one; itself, where no such label is named.
    """
    named = [row for row in deciding if row["label"] != UNNAMED]
    ranked = rank_labels(named, [row["label"] for row in named], question)
    leading = next((label for label in ranked if label != kept["predicted_label"]), UNNAMED)
    return [leading if row["label"] == UNNAMED else row["label"] for row in deciding]


def choose_label(votes: list[Row], targets: list[str], question: Question) -> str:
    """Applies rule 4: the first of `rank_labels`."""
    return rank_labels(votes, targets, question)[0]


def rank_labels(votes: list[Row], targets: list[str], question: Question) -> list[str]:
    """Orders labels: most (weighted) votes or the highest score, then the newest vote is newest, then by bytes.

    `targets` are the labels that the votes count for, one each.
    """
    weight: dict[str, int] = defaultdict(int)
    newest: dict[str, int] = {}
    for row, label in zip(votes, targets, strict=True):
        weight[label] += question.labeler_weights.get(row["labeler"], WEIGHT_SCALE)
        newest[label] = max(newest.get(label, row["labeled_at"]), row["labeled_at"])
    if question.scores:
        said = [(row["labeler"], label) for row, label in zip(votes, targets, strict=True)]
        weight |= {label: find_score(question.scores, said, label) for label in newest}
    return sorted(weight, key=lambda label: (-weight[label], -newest[label], label))


def find_score(scores: LabelerScores, said: list[tuple[str | None, str]], label: str) -> int:
    """Returns the score of a label by what each labeler said."""
    place = scores.classes.index(label) if label in scores.classes else None
    total = scores.rarest if place is None else scores.prior[place]
    for labeler, named in said:
        who = labeler if labeler in scores.hit else EVERYBODY
        cell = scores.cells.get((who, named))
        if cell is not None and place is not None:
            total += cell[place]
        else:
            total += scores.hit[who] if named == label else scores.miss[who]
    return total


def _row_count(name: str, n: int) -> Record:
    return "rows", (name,), (n,)


def _count_prediction(kept: Row, verdict: LabelOutcome, question: Question) -> Iterator[Record]:
    """Yields everything that one distinct prediction of our model adds to the counts."""
    key, values = _count_cell(kept, verdict)
    yield "cells", key, values
    predicted = kept["predicted_label"]
    for declared in question.slices:
        value = slice_value(kept, declared.expression)
        key = (declared.name, value, kept["model_version"], verdict.origin, predicted, verdict.label)
        yield "slices", key, (1, *values[2:5])
    for row in verdict.votes:
        yield "people", (row["labeler"],), (1, int(_agrees(row, verdict.label, predicted)),
                                            *_count_pairs(row, verdict.votes, predicted))
        yield "delays", ((row["labeled_at"] - kept["predicted_at"]) // US_PER_DAY, origin_class(row)), (1,)
    yield from _count_coincidences(Counter(row["label"] for row in verdict.deciding))


def _count_cell(kept: Row, verdict: LabelOutcome) -> tuple[tuple, tuple]:
    """Returns the key and the values that one prediction adds to `cells`."""
    deciding = verdict.deciding
    bin_ = confidence_bin(kept["confidence"])
    rank = rank_of(verdict.label, kept.get("top_labels")) if deciding else None
    split = len(verdict.counted_for) > 1 if deciding else None
    key = (kept["model_version"], kept["predicted_label"], bin_, verdict.label, verdict.origin, _combine_saw(deciding), rank,
           split)
    weight = weight_of(in_order(deciding, LABEL_ORDER)[0].get("selection_probability")) if deciding else None
    confidence = 0 if bin_ is None else math.floor(kept["confidence"] * CONFIDENCE_SCALE)
    return key, (1, confidence, int(weight is not None), weight or 0, (weight or 0) ** 2, (weight or 0) * confidence)


def _agrees(row: Row, label: str | None, predicted: str) -> bool:
    """Says whether a vote agrees with a label; a `≠` does with each but the predicted one (rule 4a)."""
    return label != predicted if row["label"] == UNNAMED else row["label"] == label


def _count_pairs(row: Row, votes: list[Row], predicted: str) -> tuple[int, int]:
    """Counts the votes of other people beside this one, and those of them that agree with it."""
    others = [vote for vote in votes if vote["labeler"] != row["labeler"]]
    agreeing = sum(_agrees(row, vote["label"], predicted) if vote["label"] != UNNAMED
                   else _agrees(vote, row["label"], predicted) for vote in others)
    return len(others), agreeing


def _combine_saw(deciding: list[Row]) -> bool | None:
    """Returns True when any voter saw the prediction, else None when that is not known of one, else False."""
    seen = {row.get("saw_prediction") for row in deciding}
    if True in seen:
        return True
    return None if None in seen or not seen else False


def weight_of(p: float | None) -> int | None:
    """Returns floor(2^16 / p); None (unknown) when p is null, NaN or outside [2^-20, 1]."""
    return math.floor(WEIGHT_SCALE / p) if p is not None and SMALLEST_P <= p <= 1 else None


def confidence_bin(confidence: float | None) -> int | None:
    """Returns the largest k of 0…19 with k/20 <= confidence (rule 5); None for NaN, null or outside [0, 1]."""
    if confidence is None or not 0 <= confidence <= 1:
        return None
    return max(k for k in range(BINS) if k / BINS <= confidence)


def rank_of(label: str | None, top_labels: list | None) -> int | None:
    """Returns the 1-based place of the label (rule 6); minus the list's length when not in it; None without a list.

    That of a `≠` is -1: it tells for k = 1 alone, however long the list.
    """
    if not top_labels:
        return None
    if label == UNNAMED:
        return -1
    return top_labels.index(label) + 1 if label in top_labels else -len(top_labels)


def slice_value(kept: Row, expression: str) -> str | None:
    """Returns the value of a declared slice (jobs/engines/question.py) for one prediction."""
    if expression.startswith("attributes."):
        return (kept.get("attributes") or {}).get(expression.removeprefix("attributes."))
    if expression == "hour":
        return f"{kept['predicted_at'] % US_PER_DAY // US_PER_HOUR:02d}"
    if expression == "image_size":
        sides = [n for n in (kept.get("width"), kept.get("height")) if n is not None]
        return name_band(expression, max(sides, default=None))
    return name_band(expression, kept.get("latency_ms")) if expression == "latency" else kept.get(expression)


def _count_coincidences(votes: Counter[str]) -> Iterator[Record]:
    """Yields the ordered pairs of different votes on one item that has two or more."""
    m = votes.total()
    if m < 2:
        return
    for a, of_a in votes.items():
        for b, of_b in votes.items():
            n = of_a * (of_a - 1) if a == b else of_a * of_b
            if n:
                yield "coincidences", (a, b, m), (n,)
