"""JSON lines, and a JSON array of objects. Values keep their JSON types; NaN, which pandas writes, is no value."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.errors import ForeignSchema, shorten


class Twice(dict[str, Any]):
    """A JSON object with a duplicate key, whose value is ambiguous."""

    key = ""


def read_json(path: Path, text: str) -> tuple[list[str] | None, list[Mapping[str, Any] | ValueError]]:
    """All keys that occur, and each row; a row that is no object, or has a duplicate key, is a ValueError that says so.

    ForeignSchema names the line that is no JSON.
    """
    values = _read_array(path, text) if text.lstrip()[:1] == "[" else _read_lines(path, text)
    if len(values) == 1:
        _refuse_wrapped(path, values[0])
    rows = [_check_row(value) for value in values]
    objects = [row for row in rows if isinstance(row, dict)]
    return (list(dict.fromkeys(key for row in objects for key in row)) if objects else None), rows


def _refuse_wrapped(path: Path, value: Any) -> None:
    """ForeignSchema: the file's one object is no row, but holds the rows, or their columns, under its keys."""
    if not isinstance(value, dict) or any(not isinstance(inner, dict | list) for inner in value.values()):
        return
    lists = [name for name, inner in value.items()
             if isinstance(inner, list) and inner and all(isinstance(v, dict) for v in inner)]
    tables = {len(inner) for inner in value.values()}
    if lists:
        raise ForeignSchema(f"{path}: expected one row an object, got one object that holds lists of objects "
                            f"({', '.join(map(repr, lists[:5]))}). Save the list of the rows alone: [{{…}}, {{…}}].")
    if len(value) > 1 and (len(tables) == 1 or set(value) >= {"columns", "data"}):
        raise ForeignSchema(f"{path}: expected one row an object, got one object that holds a table by columns "
                            f"({', '.join(map(repr, list(value)[:5]))}). Write one object a row (pandas: "
                            f"to_json(…, orient=\"records\")).")


def parse_json(text: str) -> Any:
    """The value of a JSON text; an object that has a key twice is a `Twice`. ValueError, RecursionError: no JSON."""
    return json.loads(text, object_pairs_hook=_make_object)


def _read_array(path: Path, text: str) -> list[Any]:
    try:
        found = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise ForeignSchema(f"{path}: expected a JSON array of objects, got {_say(error)}.") from error
    return list(found)


def _read_lines(path: Path, text: str) -> list[Any]:
    values = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                values.append(parse_json(line))
            except (ValueError, RecursionError) as error:
                if not values and (one := _read_one(text)) is not None:
                    return [one]
                raise ForeignSchema(f"{path}: line {number}: expected a JSON object, got {_say(error)}.") from error
    return values


def _read_one(text: str) -> Any | None:
    """A file that is one JSON object over several lines; None when it is not."""
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return None


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    twice = Twice(made)
    (twice.key, _), = Counter(name for name, _ in pairs).most_common(1)
    return twice


def _check_row(value: Any) -> Mapping[str, Any] | ValueError:
    if not isinstance(value, dict):
        return ValueError(f"expected a JSON object, got {shorten(value)}")
    twice = _find_twice(value)
    if twice is not None:
        return ValueError(f"the key {twice!r} comes twice, so its value can mean two things")
    return value


def _find_twice(value: Any) -> str | None:
    if isinstance(value, Twice):
        return value.key
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for v in inner if isinstance(v, dict | list) and (found := _find_twice(v)) is not None), None)


def _say(error: Exception) -> str:
    return "one that is nested too deep" if isinstance(error, RecursionError) else str(error)
