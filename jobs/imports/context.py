"""What the values of one file are read with: the options, the notes so far, and what is known of its columns."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from contract import clock
from jobs.imports.notes import Notes
from jobs.imports.options import Reading

MISSING = frozenset({"nan", "NaN", "NAN", "NA", "N/A", "#N/A", "<NA>", "null", "NULL", "Null", "None", "NaT"})
FLOAT, WHOLE = re.compile(r"-?(0|[1-9]\d*)\.0", re.ASCII), re.compile(r"-?\d+", re.ASCII)


class Form(Enum):
    """How the texts of a column that are numbers are written."""

    TEXT = "as they are"
    FLOATS = "all as 7.0, which pandas makes of whole numbers when one is missing"
    MIXED = "some as 7, some as 7.0"


@dataclass
class Context:
    """The place of a value (row and column), and what its meaning may depend on.

    `classes` and `knows_id` look up what was predicted, where that can be known; None: it cannot. `missing` are the
    columns that have no value in some row, `named_so` those of classes whose names are 7.0 and the like.
    """

    reading: Reading = Reading()
    notes: Notes = field(default_factory=Notes)
    label_map: Mapping[str, str] = field(default_factory=dict)
    classes: Callable[[], frozenset[str]] = frozenset
    knows_id: Callable[[str], bool] | None = None
    forms: Mapping[str, Form] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    named_so: frozenset[str] = frozenset()
    row: int = 1
    column: str = ""

    @cached_property
    def latest(self) -> int:
        """Microseconds since 1970 UTC after which no time can be."""
        return clock.now_us() if self.reading.latest is None else self.reading.latest

    @property
    def form(self) -> Form:
        """How the numbers of the value's column are written."""
        return self.forms.get(self.column, Form.TEXT)

    def changed(self, kind: str, before: object, after: object) -> None:
        """Notes that a value was read as another one."""
        self.notes.add(kind, f"{before} read as {after}", self.column, self.row)

    def is_missing(self, value: Any) -> bool:
        """Says whether a value is none: null, NaN, nothing but white space, or a text that --na-values names."""
        if value is None or value != value:
            return True
        if isinstance(value, str):
            text = value.strip()
            return not text or (self.reading.na_values is not None and text in self.reading.na_values)
        return False


def write_whole(text: str) -> str:
    """The whole number that a FLOAT is: 7 of 7.0, and 0 of -0.0."""
    return str(int(text.removesuffix(".0")))


def list_floats(values: Sequence[Any]) -> frozenset[str]:
    """Lists the whole numbers that are written as floats in a column, as they are written."""
    texts = (v.strip() if isinstance(v, str) else str(v) for v in values if isinstance(v, str | float))
    return frozenset(text for text in texts if FLOAT.fullmatch(text))


def find_form(values: Sequence[Any]) -> Form:
    """Finds how the numbers among the texts of a column are written."""
    texts = {v.strip() for v in values if isinstance(v, str)} - MISSING - {""}
    floats = {text for text in texts if FLOAT.fullmatch(text)}
    if not floats:
        return Form.TEXT
    if len(floats) == len(texts):
        return Form.FLOATS
    return Form.MIXED if any(WHOLE.fullmatch(text) for text in texts) else Form.TEXT
