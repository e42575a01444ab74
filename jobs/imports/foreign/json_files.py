"""JSON of other systems: lines and arrays, with or without a byte order mark, and values that lie deep in them."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contract import jsonio
from contract.errors import ForeignSchema, UsageError

WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), *((mark, "utf-16") for mark in WIDE))
LOOK_AHEAD = 1 << 16  # bytes


def read_text(path: Path) -> str:
    """A file's text: UTF-8, or UTF-16 where its byte order mark says so. ForeignSchema names the byte that is neither."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: expected a file that can be read, got: {error}.") from error
    try:
        return data.decode(next((name for mark, name in MARKS if data.startswith(mark)), "utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ForeignSchema(f"{path}: line {line}: expected UTF-8, got the byte 0x{data[error.start]:02x} ({error.reason}). "
                            f"Save the file as UTF-8.") from error


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines, with their numbers; empty lines are none."""
    for number, text in enumerate(read_text(path).split("\n"), 1):
        if text.strip():
            yield number, _parse_object(text, f"{path}: line {number}")


def read_array(path: Path) -> list[dict[str, Any]]:
    """The objects of a file that is one JSON array."""
    found = parse(read_text(path), str(path))
    if not isinstance(found, list):
        raise ForeignSchema(f"{path}: expected a JSON array, got {type(found).__name__}.")
    for number, item in enumerate(found, 1):
        if not isinstance(item, dict):
            raise ForeignSchema(f"{path}: item {number}: expected a JSON object, got {type(item).__name__}.")
    return found


def read_first_line(path: Path) -> dict[str, Any]:
    """The object on the first line that has one, empty when the file does not begin so: for telling formats apart."""
    try:
        with open(path, "rb") as file:
            line = next((line for line in file if line.strip()), b"")
        wide = line.startswith(WIDE)  # its lines do not end at a single byte
        text = next(filter(str.strip, read_text(path).split("\n")), "") if wide else line.decode("utf-8-sig")
        found = json.loads(text) if text.lstrip().startswith("{") else {}  # a whole array may stand on one line
    except (OSError, ValueError, RecursionError, ForeignSchema):
        return {}
    return found if isinstance(found, dict) else {}


def read_first_item(path: Path) -> dict[str, Any]:
    """The first object of a JSON array, empty when the file is none; no more of the file is read than that."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return {}
    length, size = LOOK_AHEAD, path.stat().st_size
    while True:
        with open(path, "rb") as file:
            data = file.read(length)
        text = data.decode("utf-16" if data.startswith(WIDE) else "utf-8-sig", errors="ignore").lstrip()
        try:
            found = json.JSONDecoder().raw_decode(text[1:].lstrip())[0] if text.startswith("[") else {}
            return found if isinstance(found, dict) else {}
        except (ValueError, RecursionError):
            if length >= size:
                return {}
            length *= 8


def parse(text: str, where: str) -> Any:
    """A JSON value in which everything means one thing (contract.jsonio.loads); ForeignSchema says where it is none."""
    try:
        return jsonio.loads(text)
    except ValueError as error:
        raise ForeignSchema(f"{where}: expected JSON, got {error}.") from error


def _parse_object(text: str, where: str) -> dict[str, Any]:
    found = parse(text, where)
    if not isinstance(found, dict):
        raise ForeignSchema(f"{where}: expected a JSON object, got {type(found).__name__}.")
    return found


def dig(value: Any, path: str) -> Any:
    """What lies at `a.b.0` in nested objects and arrays; None when there is nothing."""
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def write_scalar(value: Any) -> str | None:
    """A scalar as text, whole numbers without a point; None for null, lists and objects."""
    if value is None or isinstance(value, bool | list | dict):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
