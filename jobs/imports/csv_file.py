"""CSV: the delimiter is found from the header, and every row has as many fields as the header.

Values are texts. An empty field is no value. Lists and maps stand as JSON text.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.errors import ForeignSchema, shorten
from jobs.imports.notes import Notes
from jobs.imports.options import Reading

DELIMITERS = (",", ";", "\t", "|")
NAMES = {"\t": "tabs"}
SAID = re.compile(r"sep=(.)\r?\n")  # Excel's own first line


def read_csv(path: Path, text: str, wanted: Sequence[str], reading: Reading,
             notes: Notes) -> tuple[list[str], list[Mapping[str, Any] | ValueError]]:
    """The columns, and each row by column name; a row of another number of fields is a ValueError that says so.

    ForeignSchema: no CSV, a column without a name, or columns that more than one separator could be meant for.
    """
    said = SAID.match(text)
    text = text[said.end():] if said else text
    delimiter = reading.delimiter or (said and said[1]) or _tell_delimiter(path, text, wanted)
    if delimiter != ",":
        notes.add("delimiter", f"columns separated by {NAMES.get(delimiter, repr(delimiter))}")
    header = next(_records(path, text, delimiter), [])
    # `a, b, c`: the space belongs to the separator, in every row.
    spaced = len(header) > 1 and all(name.startswith(" ") for name in header[1:])
    records = _records(path, text, delimiter, spaced)
    columns = [name.strip() for name in next(records, [])]
    if "" in columns:
        raise ForeignSchema(f"{path}: column {columns.index('') + 1} of {len(columns)} has no name. Name it, or leave it out "
                            f"(pandas: to_csv(…, index=False)).")
    return columns, [_name_fields(columns, fields, delimiter) for fields in records if fields]


def _tell_delimiter(path: Path, text: str, wanted: Sequence[str]) -> str:
    """The one separator under which the header has all the columns that it must have; else the best, for the message."""
    found = {}
    for delimiter in DELIMITERS:
        try:
            names = {name.strip() for name in next(_records(path, text, delimiter), [])}
        except ForeignSchema:
            continue
        found[delimiter] = len(names & set(wanted))
    whole = [delimiter for delimiter, n in found.items() if n == len(wanted)]
    if len(wanted) > 1 and len(whole) > 1:
        raise ForeignSchema(f"{path}: the columns could be separated by {' or '.join(map(repr, whole))}. Name it by "
                            f"--delimiter.")
    return max(found, key=lambda delimiter: found[delimiter], default=",")


def _records(path: Path, text: str, delimiter: str, spaced: bool = False) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=spaced)
    try:
        yield from reader
    except csv.Error as error:
        raise ForeignSchema(f"{path}: line {reader.line_num}: expected CSV, got {error}.") from error


def _name_fields(columns: Sequence[str], fields: Sequence[str], delimiter: str) -> Mapping[str, Any] | ValueError:
    if len(fields) == len(columns):
        return dict(zip(columns, fields, strict=True))
    if len(fields) < len(columns):
        return ValueError(f"expected {len(columns)} fields, got {len(fields)}: {', '.join(columns[len(fields):])} missing")
    whole = delimiter.join(fields[len(columns) - 1:])
    return ValueError(f"expected {len(columns)} fields, got {len(fields)}. A field that holds {delimiter!r} must stand in "
                      f"quotes: if it is the last one, column {columns[-1]!r} is \"{shorten(whole)[1:-1]}\"")
