"""Checks that the labels of a file are names of classes that were predicted; suggests the nearest name for each other one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.counts import UNNAMED
from contract.errors import ForeignSchema
from jobs.imports.known import Known
from jobs.imports.notes import Notes
from metrics.label_names import find_nearest

SHOWN = 8  # labels, and classes, that a message names
Row = dict[str, Any]
Placed = tuple[str, Row]  # where it stands ("l.csv: row 3"), and the row


def map_labels(path: Path, rows: Sequence[Placed], pairs: Mapping[str, str], notes: Notes) -> list[Placed]:
    """The rows, each with where it stands, their labels named as `pairs` say."""
    made = []
    for where, row in rows:
        name = pairs.get(row["label"])
        if name is not None:
            notes.add(f"map {row['label']}", f"{row['label']} mapped to {name}", "label", _within(path, where))
        made.append((where, row if name is None else {**row, "label": name}))
    return made


def check_labels(path: Path, rows: Sequence[Placed], known: Known, by_day: Mapping[str, Sequence[Row]], allowed: bool,
                 notes: Notes) -> None:
    """ForeignSchema when not one of the labels was predicted, unless that is allowed; some that were not are noted.

    Predicted by the same models: on the days that the rows lie under, and, when they name no class of these, on any.
    """
    named: dict[str, str] = {}
    for where, row in rows:
        if row["label"] not in (None, UNNAMED):
            named.setdefault(row["label"], _within(path, where))
    models = known.models_of(by_day)
    classes = frozenset(known.classes_of(by_day, models))
    if classes and classes.isdisjoint(named):
        classes |= frozenset(known.classes_of(known.days, models))
    other = [label for label in named if label not in classes]
    if not classes or not other:
        return
    ordered = sorted(classes)
    nearest = {label: find_nearest(label, ordered) for label in other[:SHOWN]}
    if len(other) < len(named) or allowed:
        notes.other_labels |= {label: nearest.get(label) for label in other}
        return
    pairs = ", ".join(f"{label!r} ({named[label]}; nearest: {near!r})" if near else f"{label!r} ({named[label]})"
                      for label, near in nearest.items())
    more = f" and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
    raise ForeignSchema(
        f"{path}: column 'label': expected classes that were predicted ({_list(ordered)}), got none of them: {pairs}"
        f"{more}.{_explain(other, classes)} Say what they mean by --label-map FILE (CSV of label,class), or take them as they "
        f"are by --allow-other-labels.")


def _within(path: Path, where: str) -> str:
    return where.removeprefix(f"{path}: ")


def _explain(labels: Sequence[str], classes: frozenset[str]) -> str:
    numbers = all(label.isdecimal() for label in labels)
    return " Numbers of classes instead of names?" if numbers and not any(name.isdecimal() for name in classes) else ""


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
