"""Rows of a CSV, JSON or Parquet file as values of a record: parsed, checked, labels normalised.

`formats.py` has the kinds of files, `values.py` and `texts.py` the values, `plausible.py` what they must be together. A row
that cannot be taken is named with its number (the first row of data is 1) and the reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from contract.errors import BadLabel
from contract.records import LABEL, Field, TableSchema
from jobs.imports.context import FLOAT, Context, Form, find_form, list_floats, write_whole
from jobs.imports.formats import MAY_BE_NULL, read_raw
from jobs.imports.known import Known
from jobs.imports.label_map import read_label_map
from jobs.imports.notes import Notes
from jobs.imports.options import Reading
from jobs.imports.plausible import check_row
from jobs.imports.texts import EXACT
from jobs.imports.values import CLASSES, read_value

Row = dict[str, Any]
PLACES = ("dt", "model", "model_version")  # of labels, too: which prediction they are of (jobs/imports/placing/place.py)
RawRow = Mapping[str, Any] | ValueError


class NoLabel(ValueError):
    """A row of labels that has none: nobody labelled the prediction yet."""


def read(path: Path, record: TableSchema, fill: Mapping[str, Any] | None = None, reading: Reading | None = None,
         notes: Notes | None = None, known: Known | None = None) -> tuple[list[tuple[int, Row]], list[str]]:
    """The good rows with their numbers, and one line for each bad one.

    `fill` gives columns that the file may lack, `known` looks up what was predicted, `notes` takes what was changed.
    UsageError for a file that is not there, ForeignSchema for one that is not what its name says, or lacks a required
    column.
    """
    reading, notes = reading or Reading(), notes if notes is not None else Notes()
    fill = {k: v for k, v in (fill or {}).items() if v is not None}
    raws = read_raw(record, path, fill, reading, notes)
    context = make_context(record, raws, reading, notes, known)
    good, bad = [], []
    for number, raw in enumerate(raws, 1):
        context.row = number
        try:
            good.append((number, make_row(record, _fill(raw, fill, context), context)))
        except NoLabel:
            notes.unlabelled += 1
        except (ValueError, TypeError, BadLabel) as error:
            bad.append(f"{path}: row {number}: {error}")
    return good, bad


def _fill(raw: RawRow, fill: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    if isinstance(raw, ValueError):
        raise raw
    return {**fill, **{k: v for k, v in raw.items() if k not in fill or not context.is_missing(v)}} if fill else raw


def make_row(record: TableSchema, raw: Mapping[str, Any], context: Context | None = None) -> Row:
    """One row in the record's types; ValueError says what is wrong with it, NoLabel that nobody labelled it."""
    context, plan = context or Context(), _plan(record)
    row: Row = {**{name: raw.get(name) for name in PLACES}, **plan.nothing}
    for name, field in plan.fields:
        value = raw.get(name)
        if value is not None:
            row[name] = read_value(field, value, context)
        if name == "label" and row["label"] is None and not row.get("withdraws", True):  # no row of labels: needed, as below
            raise NoLabel("column 'label': expected a value, got none")
    for name in plan.needed:
        if row[name] is None and not (name == "label" and row.get("withdraws")):
            raise ValueError(f"column {name!r}: expected a value, got none")
    return check_row(row, context)


class Plan(NamedTuple):
    """How rows of a record are read: a row without values, the fields in order, and those that must have a value.

    Whether a label is withdrawn comes first: it tells whether a label must be there.
    """

    nothing: Row
    fields: list[tuple[str, Field]]
    needed: list[str]


PLANS: dict[str, Plan] = {}  # by the record's name: hashing a record, or making its plan again, takes longer than a row


def _plan(record: TableSchema) -> Plan:
    found = PLANS.get(record.name)
    if found is None:
        ordered = sorted(record.fields, key=lambda field: field.name != "withdraws")
        found = PLANS[record.name] = Plan(dict.fromkeys(record.names), [(field.name, field) for field in ordered],
                                          [name for name in record.required if name not in MAY_BE_NULL])
    return found


# -- what a value's meaning depends on ----------------------------------------------------------------------------------


def make_context(record: TableSchema, raws: Sequence[RawRow], reading: Reading, notes: Notes, known: Known | None) -> Context:
    """What the columns of a file, and the predictions of the root, say about its values."""
    rows = [raw for raw in raws if not isinstance(raw, ValueError)]
    texts = [f.name for f in record.fields if f.type == "string"]
    columns = {name: [raw.get(name) for raw in rows] for name in texts if any(name in raw for raw in rows)}
    context = Context(reading, notes, read_label_map(reading.label_map) if reading.label_map else {},
                      forms={name: find_form(values) for name, values in columns.items()})
    context.missing = frozenset(name for name, values in columns.items() if any(map(context.is_missing, values)))
    if known is not None:
        context.classes = cache(lambda: known.list_classes(set(_list_ids(columns.get("prediction_id", ())))))
        context.knows_id = _look_up_ids(record, context, known, columns)
        context.named_so = frozenset(name for name in CLASSES & set(columns) if _are_named_so(columns[name], context))
    return context


def _are_named_so(values: Sequence[Any], context: Context) -> bool:
    """Says whether classes of a column are called 7.0: some of them were predicted, and not one as 7."""
    written = list_floats(values)
    if not written:
        return False
    classes = context.classes()
    return not written.isdisjoint(classes) and classes.isdisjoint(map(write_whole, written))


def _look_up_ids(record: TableSchema, context: Context, known: Known,
                 columns: Mapping[str, Sequence[Any]]) -> Callable[[str], bool] | None:
    """Returns a function that says whether a prediction has an id; None where no id of a file of labels looks like a float."""
    if record is not LABEL or context.forms.get("prediction_id", Form.TEXT) is Form.TEXT:
        return None
    there = known.find_ids(set(_list_ids(columns["prediction_id"])))
    return there.__contains__


def _list_ids(values: Sequence[Any]) -> Iterator[str]:
    """The ids that values may mean, as they are written and as whole numbers."""
    for value in values:
        if isinstance(value, str):
            yield value
            if FLOAT.fullmatch(value):
                yield write_whole(value)
        elif isinstance(value, int | float) and value == value:
            yield str(int(value)) if abs(value) < EXACT else str(value)
