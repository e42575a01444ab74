"""What is checked before a prediction becomes a gold item: it is there, it is live, people can see it, its class is known.

Either every row of a file is good, or none is written.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from contract import clock, ids, layout
from contract.confidence import NO_BIN, confidence_bins
from contract.counts import UNNAMED
from contract.documents.gold import GoldAnswer, read_gold, refuse_another
from contract.errors import BadLabel, ForeignSchema, Mismatch, NotFound, TrueupError, UsageError, shorten
from contract.labels import normalise_class
from contract.records import Field, TableSchema
from contract.registry import Registry
from contract.rows.reading import rows_where
from contract.stores.store import Storage
from jobs.engines.question import Question
from jobs.engines.rules import KEPT_FIRST, in_order
from jobs.imports import rows as import_rows

Row = dict[str, Any]
FILE = TableSchema("gold", (Field("prediction_id", "string", "of a live prediction", required=True),
                            Field("label", "string", "the class that its picture is known to show", required=True)))
NEEDED = ("prediction_id", "predicted_at", "model", "model_version", "predicted_label")
COLUMNS = (*NEEDED, "confidence", "role", "image_sha256", "image_uri")
SHOWN = 20  # bad rows, or classes, that a message names


class Asked(NamedTuple):
    """What somebody says of one prediction; `where` names the row of a file, '' without one."""

    where: str
    prediction_id: str
    label: str

    @property
    def key(self) -> str:
        """The id as the bucket has it."""
        return self.prediction_id.strip().lower()


class Context(NamedTuple):
    """What is known of the predictions that were asked for: rows of the bucket, and the classes of the model."""

    storage: Storage
    model: str
    rows: Mapping[str, list[Row]]  # prediction id -> its rows
    classes: frozenset[str] | None  # of all versions; None: the model has no card, so any name may be a class
    gold: Mapping[str, GoldAnswer]
    roles: Mapping[str, str]  # another word, in small letters -> the role that it means (Question.roles)


def check_file(storage: Storage, model: str, path: Path, by: str, reason: str, roles: Mapping[str, str]) -> list[GoldAnswer]:
    """Reads and checks a file; returns its answers, one for each prediction. ForeignSchema names the bad rows."""
    good, bad = import_rows.read(path, FILE)
    asked = [Asked(f"{path}: row {number}: ", row["prediction_id"], row["label"]) for number, row in good]
    context = read_context(storage, model, asked, roles)
    answers: dict[str, GoldAnswer] = {}
    for one in asked:
        try:
            answer = make_answer(one, context, by, reason)
            _refuse_two(answers.setdefault(answer.prediction_id, answer), answer)
        except TrueupError as error:
            bad.append(f"{one.where}{error}")
    if bad:
        more = f"\n… and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise ForeignSchema("\n".join(bad[:SHOWN]) + more + "\nNothing was written. Correct the rows.")
    if not answers:
        raise UsageError(f"{path}: expected rows of prediction_id and label, got none.")
    return list(answers.values())


def _refuse_two(first: GoldAnswer, second: GoldAnswer) -> None:
    if first.label != second.label:
        raise Mismatch(f"expected one answer for prediction {first.prediction_id}, got {second.label!r} after {first.label!r} "
                       f"in an earlier row.")


def read_context(storage: Storage, model: str, asked: Iterable[Asked], roles: Mapping[str, str]) -> Context:
    """Reads the days of the predictions that were asked for. ForeignSchema: a file of rows that cannot be read."""
    by_day: defaultdict[str, set[str]] = defaultdict(set)
    for one in asked:
        if day := ids.day_of(one.key):
            by_day[day].add(one.key)
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for day, wanted in sorted(by_day.items()):
        for _, row in rows_where(storage, layout.PREDICTIONS, day, "prediction_id", wanted, COLUMNS, unreadable=None):
            found[str(row["prediction_id"])].append(row)
    return Context(storage, model, found, _read_classes(storage, model), read_gold(storage, model), roles)


def _read_classes(storage: Storage, model: str) -> frozenset[str] | None:
    registry = Registry(storage, model)
    lists = [registry.card(version).classes for version in registry.versions()]
    return frozenset(name for classes in lists for name in classes) if lists else None


def make_answer(one: Asked, context: Context, by: str, reason: str) -> GoldAnswer:
    """Makes the document of one answer. BadLabel, NotFound, UsageError, AlreadyExists say what was expected and what came."""
    label = _check_class(one.label, context)
    row = _find_row(one, context)
    sha256 = _check_picture(row, context.storage)
    refuse_another(context.gold.get(one.key), label)
    return GoldAnswer(model=context.model, prediction_id=one.key, label=label, predicted=str(row["predicted_label"]),
                      bin=_find_bin(row["confidence"]), image_sha256=sha256, at=clock.iso(clock.now()), by=by, reason=reason)


def _check_class(label: str, context: Context) -> str:
    name = normalise_class(label)
    if context.classes is not None and name not in context.classes:
        there = sorted(context.classes)
        more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
        raise BadLabel(f"expected a class of {context.model!r} ({', '.join(there[:SHOWN])}{more}), got {shorten(name)}.")
    return name


def _find_row(one: Asked, context: Context) -> Row:
    """Finds the row that counts of a prediction (rule 2), which must be a live one of the model."""
    if ids.day_of(one.key) is None:
        raise UsageError(f"expected a UUIDv7 as prediction id, got {shorten(one.prediction_id)}: the pages take answers on no "
                         f"other id.")
    valid = [row for row in context.rows.get(one.key, ()) if all(row[c] for c in NEEDED) and row["predicted_label"] != UNNAMED]
    if not valid:
        raise NotFound(f"expected a prediction in the bucket, found none with the id {one.key}. If it was answered just now "
                       f"it may still be in an outbox: try again once it was shipped.")
    question = Question(context.model, as_of=0, roles=context.roles)
    live = [row for row in valid if question.resolve_role(row["role"]) == question.role]
    if not live:
        raise NotFound(f"expected a live prediction, got {one.key}, whose role is {shorten(valid[0]['role'])}.")
    row = in_order([row | {"predicted_at": clock.to_us(row["predicted_at"])} for row in live], list(KEPT_FIRST))[0]
    if row["model"] != context.model:
        raise NotFound(f"expected a prediction of {context.model!r}, got {one.key}, which {shorten(row['model'])} made.")
    return row


def _check_picture(row: Row, storage: Storage) -> str:
    """Returns the hash of the stored picture."""
    sha256 = row["image_sha256"]
    stored = (row["image_uri"] is not None and ids.is_sha256(sha256)
              and next(iter(storage.list(layout.image(sha256, ""))), None))
    if not stored or storage.exists(layout.erasure(sha256)):
        raise NotFound(f"expected a prediction whose picture is stored, got {row['prediction_id']}: its picture was not "
                       f"stored, or was erased, so nobody can be asked about it.")
    return str(sha256)


def _find_bin(confidence: float | None) -> int | None:
    import numpy as np

    found = int(confidence_bins(np.array([confidence], np.float64))[0])
    return None if found == NO_BIN else found
