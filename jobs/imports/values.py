"""Parses one value of a file for a field of a record: numbers, times, booleans, lists and maps; texts are in `texts.py`.

A value is taken only when it can mean one thing. Otherwise ValueError says what was expected, what came, and the option
that would settle it; what was read as something else is noted.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from contract import clock
from contract.counts import EARLIEST
from contract.errors import BadLabel, shorten
from contract.records import Field
from jobs.imports.context import MISSING, Context
from jobs.imports.options import TIME_UNITS
from jobs.imports.texts import read_class, read_id, read_text

CLASSES = {"label", "predicted_label", "shown_label"}
IDS = {"prediction_id", "label_id"}
PROBABILITIES = {"confidence", "selection_probability"}  # 0 to 1: a comma in them is a decimal comma
YES, NO = ("true", "1", "yes", "t", "1.0"), ("false", "0", "no", "f", "0.0")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
COMMA = re.compile(r"[+-]?\d*,(\d+)", re.ASCII)
DIGITS = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
DAY, TIMED = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII), re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d", re.ASCII)
SKEW = 60_000_000  # microseconds by which the clocks of machines may differ
BITS = {"int32": 31, "int64": 63}


def read_value(field: Field, value: Any, context: Context) -> Any:
    """The value in the type of the field, None for none. ValueError names the column, what was expected and what came."""
    if value is None:
        return None
    context.column = field.name
    try:
        if field.name in CLASSES:
            return read_class(value, context)
        if field.type == "string":
            return (read_id if field.name in IDS else read_text)(value, context)
        if context.is_missing(value):
            return None
        if isinstance(value, str) and value.strip() in MISSING:  # of no type but text can these be values
            context.changed("missing", value.strip(), "no value")
            return None
        return PARSERS[field.type](value, context)
    except BadLabel as error:
        raise ValueError(f"column {field.name!r}: {error}") from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"column {field.name!r}: {_say(field, value, error)}") from error


def _say(field: Field, value: Any, error: Exception) -> str:
    text = str(error)
    return text if text.startswith("expected") or " could " in text else f"expected {field.type}, got {shorten(value)} ({text})"


# -- numbers and booleans -----------------------------------------------------------------------------------------------


def _read_number(value: Any, context: Context) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"expected a number, got {shorten(value)}")
    if not isinstance(value, str):
        return _check_finite(float(value))
    text = value.strip()
    if NUMBER.fullmatch(text):
        return _check_finite(float(text))
    comma = COMMA.fullmatch(text)
    if not comma:
        raise ValueError("a number is written as 0.93")
    if len(comma[1]) == 3 and context.column not in PROBABILITIES:
        raise ValueError(f"expected a number, got {text!r}, whose comma could stand before thousands or before decimals. "
                         f"Write it with a point")
    context.changed("decimal comma", text, text.replace(",", "."))
    return float(text.replace(",", "."))


def _check_finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {number}")
    return number


def _read_whole(field_type: str) -> Callable[[Any, Context], int]:
    def read(value: Any, context: Context) -> int:
        number = value if isinstance(value, int) and not isinstance(value, bool) else _read_integral(value, context)
        if abs(number) >> BITS[field_type]:
            raise ValueError(f"expected {field_type}, got {number}")
        return number

    return read


def _read_integral(value: Any, context: Context) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value, re.ASCII):
        return int(value)
    number = _read_number(value, context)
    if number != int(number):
        raise ValueError(f"expected a whole number, got {shorten(value)}")
    context.changed("whole number", value, int(number))
    return int(number)


def _read_boolean(value: Any, context: Context) -> bool:
    word = str(value).strip().lower()
    if word not in YES + NO:
        raise ValueError("true or false")
    return word in YES


# -- times --------------------------------------------------------------------------------------------------------------


def _read_moment(value: Any, context: Context) -> datetime:
    moment = _parse_moment(value, context)
    at = clock.to_us(moment)
    if not EARLIEST <= at <= context.latest + SKEW:
        now = clock.iso(clock.from_us(context.latest))
        when = "before the year 2000" if at < EARLIEST else f"later than now ({now})"
        raise ValueError(f"expected a time from 2000-01-01 until now, got {shorten(value)}, which is {when}")
    return moment


def _parse_moment(value: Any, context: Context) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return _start_of(value.isoformat(), context)
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"expected a time, got {shorten(value)}")
    text = str(value).strip()
    if not isinstance(value, str) or DIGITS.fullmatch(text):
        return _read_epoch(text, context)
    if DAY.fullmatch(text):
        return _start_of(text, context)
    if not TIMED.match(text):
        raise ValueError(f"expected timestamp, got {text!r}. Write it in ISO 8601, year first: 2026-11-20T08:00:00Z")
    moment = datetime.fromisoformat(re.sub(r" ?UTC$", "+00:00", text))
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _start_of(day: str, context: Context) -> datetime:
    context.changed("day", day, f"{day}T00:00:00Z")
    return datetime.combine(date.fromisoformat(day), time(), UTC)


def _read_epoch(text: str, context: Context) -> datetime:
    unit = context.reading.time_unit
    if unit is None:
        raise ValueError(f"expected a time in ISO 8601, such as 2026-11-20T08:00:00Z, got the number {text}, which could "
                         f"count seconds or parts of them. Name its unit by --time-unit {'|'.join(TIME_UNITS)}")
    moment = clock.from_us(int(Decimal(text) * Decimal(str(TIME_UNITS[unit]))))
    context.changed("epoch", text, clock.iso(moment))
    return moment


# -- lists and maps -----------------------------------------------------------------------------------------------------


def _read_list(value: Any) -> list[Any]:
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, list | tuple):
        raise ValueError(f"expected a list (in CSV as JSON text), got {shorten(value)}")
    return list(found)


def _read_classes(value: Any, context: Context) -> list[str]:
    found = [read_class(v, context) for v in _read_list(value)]
    if None in found:
        raise ValueError(f"expected names of classes, got {shorten(value)}")
    return [str(name) for name in found]


def _read_numbers(value: Any, context: Context) -> list[float]:
    return [_read_number(v, context) for v in _read_list(value)]


def _read_map(value: Any, context: Context) -> list[tuple[str, str | None]]:
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, dict | list):
        raise ValueError(f"expected a map (in CSV as a JSON object), got {shorten(value)}")
    return [(str(a), None if b is None else str(b)) for a, b in dict(found).items()]


PARSERS: dict[str, Callable[[Any, Context], Any]] = {
    "double": _read_number, "float": _read_number, "int32": _read_whole("int32"), "int64": _read_whole("int64"),
    "bool": _read_boolean, "timestamp": _read_moment, "list<string>": _read_classes, "list<float>": _read_numbers,
    "map<string,string>": _read_map}
