"""Rows of a CSV, JSON lines or Parquet file as values of a record: parsed, checked, labels normalised.

An empty CSV field is null. Lists and maps stand in CSV as JSON text. A row that cannot be taken is named with its
number (the first row of data is 1) and the reason.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract import labels
from contract.errors import BadLabel, ForeignSchema, UsageError
from contract.records import Field, TableSchema

Row = dict[str, Any]
MAY_BE_NULL = {"labeler", "confidence"}  # required columns whose values need not be there
CLASSES = {"label", "predicted_label"}
PLACES = ("dt", "model", "model_version")  # of labels, too: which prediction they are of (jobs/imports/placing/place.py)
YES, NO = ("true", "1", "yes", "t"), ("false", "0", "no", "f")


def read(path: Path, record: TableSchema, fill: Mapping[str, str] | None = None) -> tuple[list[tuple[int, Row]], list[str]]:
    """The good rows with their numbers, and one line for each bad one.

    `fill` gives columns that the file may lack. UsageError for a file that is not there, ForeignSchema for one that is
    not what its name says, or lacks a required column.
    """
    good, bad = [], []
    fill = {k: v for k, v in (fill or {}).items() if v is not None}
    for number, raw in enumerate(_read_raw(path, record, fill), 1):
        try:
            good.append((number, row_of(record, {**fill, **{k: v for k, v in raw.items() if v not in (None, "")}})))
        except (ValueError, TypeError, BadLabel) as error:
            bad.append(f"{path}: row {number}: {error}")
    return good, bad


def _read_raw(path: Path, record: TableSchema, fill: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: expected a file named {', '.join(READERS)}, got {path.suffix or 'no suffix'!r}.")
    if not path.is_file():
        raise UsageError(f"{path}: no such file.")
    columns, rows = reader(path)
    missing = [n for n in record.required if n not in fill and n not in columns] if columns is not None else []
    if missing:
        raise ForeignSchema(f"{path}: expected the columns {', '.join(record.required)}; {', '.join(missing)} missing "
                            f"among {', '.join(columns or ())}.")
    return rows


def _csv(path: Path) -> tuple[list[str], Iterator[Row]]:
    reader = csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True)
    try:
        return list(reader.fieldnames or ()), iter(list(reader))
    except csv.Error as error:
        raise ForeignSchema(f"{path}: line {reader.line_num}: expected CSV, got {error}.") from error


def _json_lines(path: Path) -> tuple[None, Iterator[Row]]:
    def rows() -> Iterator[Row]:
        for number, line in enumerate(path.read_bytes().decode().split("\n"), 1):
            if line.strip():
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ForeignSchema(f"{path}: line {number}: expected a JSON object, got {error}.") from error
                yield row if isinstance(row, dict) else {}

    return None, rows()


def _parquet(path: Path) -> tuple[list[str], Iterator[Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise ForeignSchema(f"{path}: expected a Parquet file, got one that cannot be read ({error}).") from error
    return table.column_names, (row for batch in table.to_batches(10_000) for row in batch.to_pylist())


READERS: dict[str, Callable[[Path], tuple[list[str] | None, Iterator[Row]]]] = {
    ".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json_lines, ".parquet": _parquet}


def row_of(record: TableSchema, raw: Mapping[str, Any]) -> Row:
    """One row in the record's types; ValueError, TypeError or BadLabel says what is wrong with it."""
    row = {f.name: _value(f, raw.get(f.name)) for f in record.fields}
    withdrawn = {"label"} if row.get("withdraws") else set()
    for name in record.required:
        if row[name] in (None, "") and name not in MAY_BE_NULL | withdrawn:
            raise ValueError(f"column {name!r}: expected a value, got none")
    confidence = row.get("confidence")
    if confidence is not None and not 0 <= confidence <= 1:
        raise ValueError(f"column 'confidence': expected 0 to 1, got {confidence}")
    return {**{name: raw.get(name) for name in PLACES}, **row}


def _value(field: Field, value: Any) -> Any:
    if value in (None, ""):
        return None
    try:
        made = PARSERS[field.type](value)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"column {field.name!r}: expected {field.type}, got {value!r} ({error})") from error
    if field.name in CLASSES:
        return labels.normalise(made)
    return [labels.normalise(v) for v in made] if field.name == "top_labels" else made


def _moment(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _flag(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in YES + NO:
        raise ValueError("true or false")
    return word in YES


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _parse_whole(value: Any) -> int:
    return int(str(value))


PARSERS: dict[str, Callable[[Any], Any]] = {
    "string": str, "double": float, "float": float, "int32": _parse_whole, "int64": _parse_whole, "bool": _flag,
    "timestamp": _moment, "list<string>": lambda v: [str(x) for x in _json(v)],
    "list<float>": lambda v: [float(x) for x in _json(v)],
    "map<string,string>": lambda v: [(str(a), None if b is None else str(b)) for a, b in dict(_json(v)).items()]}
