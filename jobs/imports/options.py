"""How imported files are read: the options that `import` and `evaluate --predictions` share."""

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from contract.errors import UsageError

TIME_UNITS = {"s": 1_000_000, "ms": 1000, "us": 1, "ns": 0.001}  # microseconds
DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t", "\\t": "\t", "\t": "\t"}
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Reading:
    """What the user said about the files.

    `shared`: the encoding was said once for two files. `na_values` None: not said. `latest`: microseconds since 1970 UTC
    after which no time can be; None: now.
    """

    encoding: str | None = None
    shared: bool = False
    delimiter: str | None = None
    na_values: frozenset[str] | None = None
    label_map: Path | None = None
    allow_other_labels: bool = False
    time_unit: str | None = None
    latest: int | None = None


FILE_OPTIONS = (
    click.option("--encoding", metavar="NAME", help="Encoding of CSV and JSON that is neither UTF-8 nor has a byte order "
                 "mark, e.g. cp1252 (two files: NAME,NAME when they differ)."),
    click.option("--delimiter", metavar="CHAR", help="What separates the columns of CSV: , ; | or tab. [default: told by "
                 "the header]"),
    click.option("--na-values", metavar="TEXTS", help="Texts that mean `no value`, separated by commas, e.g. nan,NA; '' for "
                 "none. All others are then taken as they stand."),
    click.option("--time-unit", type=click.Choice(list(TIME_UNITS)), help="Unit of times written as numbers since 1970."),
    click.option("--skip-bad", is_flag=True, help="Leave bad rows out, and list them."),
)
LABEL_OPTIONS = (
    click.option("--label-map", type=click.Path(path_type=Path), metavar="FILE", help="CSV or JSON of pairs label,class: "
                 "what the labels are called by the model."),
    click.option("--allow-other-labels", is_flag=True, help="Take labels although none of them was ever predicted."),
)


def with_reading_options(function: F) -> F:
    """Adds the options of reading, those about labels too; `make_reading` makes a Reading of what they bring."""
    for option in reversed(FILE_OPTIONS + LABEL_OPTIONS):
        function = option(function)
    return function


def make_reading(encoding: str | None = None, delimiter: str | None = None, na_values: str | None = None,
                 time_unit: str | None = None, label_map: Path | None = None, allow_other_labels: bool = False) -> Reading:
    """Checks what the options say; UsageError names the one that cannot be used."""
    if delimiter is not None and delimiter not in DELIMITERS:
        raise UsageError(f"--delimiter {delimiter!r}: expected , ; | or tab.")
    for name in (encoding or "").split(",") if encoding else ():
        check_encoding(name)
    texts = None if na_values is None else frozenset(text.strip() for text in na_values.split(",")) - {""}
    return Reading(encoding=encoding, delimiter=DELIMITERS[delimiter] if delimiter else None, na_values=texts,
                   time_unit=time_unit, label_map=label_map, allow_other_labels=allow_other_labels)


def check_encoding(name: str) -> str:
    """The encoding's own name. UsageError for one that Python does not know, or that is none of text."""
    try:
        found = codecs.lookup(name.strip())
    except (LookupError, ValueError):
        found = None
    if found is None or not getattr(found, "_is_text_encoding", True):
        raise UsageError(f"--encoding {name!r}: expected the name of an encoding of text, for example cp1252, latin-1, "
                         f"utf-16 or shift_jis.")
    return found.name


def split_for_two(reading: Reading) -> tuple[Reading, Reading]:
    """The reading of a file of predictions and of one of labels: `--encoding A,B` says one for each."""
    if not reading.encoding:
        return reading, reading
    names = reading.encoding.split(",")
    if len(names) > 2:
        raise UsageError(f"--encoding {reading.encoding!r}: expected NAME, or NAME,NAME for predictions and labels.")
    shared = len(names) == 1
    first, last = (replace(reading, encoding=name, shared=shared) for name in (names[0], names[-1]))
    return first, last


def list_given(values: Mapping[str, Any]) -> list[str]:
    """The options among `values` that were given, as the user writes them."""
    return [f"--{name.replace('_', '-')}" for name, value in values.items() if value not in (None, False)]
