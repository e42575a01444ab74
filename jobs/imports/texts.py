"""Texts, ids and names of classes, which tools write as 7.0, NaN or a list: read where they can mean one thing only."""

import json
import re
from decimal import Decimal
from typing import Any

from contract import labels
from contract.errors import shorten
from jobs.imports.context import FLOAT, MISSING, Context, Form, write_whole

EXACT = 1 << 53  # beyond it a float has lost digits of a whole number
SHEET = re.compile(r"\d(\.\d+)?E\+\d+")  # what spreadsheets make of long numbers
LIST = re.compile(r"[\[{]\s*['\"]")
SCIENTIFIC = re.compile(r"\d+(\.\d+)?[eE][+-]?\d+")
PREDICTED = ("predicted_label", "top_labels")
AS_TEXT = 'Write it as text, for example "7"'


def read_text(value: Any, context: Context) -> str | None:
    """A value of a column of text. ValueError where it could mean two things."""
    text = _write(value, context)
    if text is None or not isinstance(value, str):
        return text
    if context.form is Form.FLOATS and context.column in context.missing and FLOAT.fullmatch(text.strip()):
        return _take_whole(text.strip(), context)
    _refuse_missing(text, context)
    return text


def read_id(value: Any, context: Context) -> str | None:
    """An id. `101.0` in a column of such texts is 101, unless a prediction has the id as it is written."""
    text = _write(value, context)
    if text is None or not isinstance(value, str):
        return text
    _refuse_missing(text, context)
    number = FLOAT.fullmatch(text)
    if not (SHEET.fullmatch(text) or (number and context.form is not Form.TEXT)):
        return text
    if context.knows_id is not None and context.knows_id(text):
        return text
    if number and context.form is Form.FLOATS:
        return _take_whole(text, context)
    raise ValueError(f"{text!r} could be an id or a number that a program wrote so. {AS_TEXT} (in a sheet: format the "
                     f"column as text)")


def _write(value: Any, context: Context) -> str | None:
    """A value as text; a whole number that came as a float is written as the whole number."""
    if context.is_missing(value):
        return None
    if isinstance(value, str):
        value.encode()  # half a surrogate pair is no text: UnicodeEncodeError is a ValueError
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float | Decimal):
        if _is_whole(value):
            context.changed("whole number", value, int(value))
            return str(int(value))
        raise ValueError(f"expected text or a whole number, got {value}. {AS_TEXT}")
    raise ValueError(f"expected text, got {_name(value)}. {AS_TEXT}")


def _take_whole(text: str, context: Context) -> str:
    whole = write_whole(text)
    context.changed("whole number", text, whole)
    return whole


def _refuse_missing(text: str, context: Context) -> None:
    if text.strip() in MISSING and context.reading.na_values is None:
        raise ValueError(f"{text!r} could be a text or a missing value. Say it: --na-values {text.strip()} (no value), or "
                         f"--na-values '' (a text)")


def _is_whole(value: float | Decimal) -> bool:
    return abs(float(value)) < EXACT and value == int(value)


def _name(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else shorten(value)


# -- classes ------------------------------------------------------------------------------------------------------------


def read_class(value: Any, context: Context) -> str | None:
    """The name of a class, normalised; None where there is none.

    A list of one, `{"choices": [x]}`, 7.0 for 7: taken, and noted. Whatever could also be another class is looked up
    among those that were predicted; where that decides nothing, ValueError.
    """
    if context.is_missing(value):
        return None
    written, taken, doubt = _spell(value, context)
    mapped = next((context.label_map[t] for t in (written, taken) if t in context.label_map), None)
    if mapped is not None and context.column == "label":
        context.notes.add(f"map {written}", f"{written} mapped to {mapped}", context.column, context.row)
        return mapped
    if doubt is None and taken == written:
        return taken
    classes = context.classes()
    if written in classes:
        if taken != written and taken in classes:
            raise ValueError(f"{written!r} could be the class {written!r} or the class {taken!r}, both were predicted. Name "
                             f"it by --label-map")
        return written
    if doubt is not None:
        raise ValueError(doubt)
    context.changed(f"class {type(value).__name__}", _name(value) if not isinstance(value, str) else value, taken)
    return taken


def _spell(value: Any, context: Context) -> tuple[str, str, str | None]:
    """(As it is written, what that means, why it could mean something else; None: it could not)."""
    if isinstance(value, str):
        return _spell_text(value, context)
    if isinstance(value, bool):
        return _doubt(_name(value), f"expected the name of a class, got {_name(value)}. {AS_TEXT}")
    if isinstance(value, int):
        return str(value), str(value), None
    if isinstance(value, float | Decimal):
        if _is_whole(value):
            written = f"{int(value)}.0"
            return written, written if context.column in context.named_so else str(int(value)), None
        return _doubt(str(value), f"expected the name of a class, got the number {value}. {AS_TEXT}")
    if isinstance(value, dict | list | tuple):
        return _spell_only(value, context)
    return _doubt(shorten(value), f"expected the name of a class, got {shorten(value)}. {AS_TEXT}")


def _doubt(text: str, why: str) -> tuple[str, str, str]:
    return text, text, why


def _spell_only(value: Any, context: Context) -> tuple[str, str, str | None]:
    """The only element of a list, or of `{"choices": […]}`."""
    inner = value["choices"] if isinstance(value, dict) and list(value) == ["choices"] else value
    if not isinstance(inner, list | tuple) or len(inner) != 1 or context.is_missing(inner[0]):
        raise ValueError(f"expected the name of one class, got {shorten(value)}. Choose one, or leave the row out")
    _, taken, doubt = _spell(inner[0], context)
    return json.dumps(value, ensure_ascii=False, default=str), taken, doubt


def _spell_text(value: str, context: Context) -> tuple[str, str, str | None]:
    written = _normalise(value, context)
    if written in MISSING and context.reading.na_values is None:
        if context.column in PREDICTED:
            context.notes.add(f"name {written}", f"{written} taken as the name of a class", context.column, context.row)
            return written, written, None
        return _doubt(written, f"{written!r} could be the name of a class or a missing value, and no prediction has it. Say it: "
                               f"--na-values {written} (not labelled), or --na-values '' (a class)")
    if not (written[0] in "-[{" or written[0].isdigit()):
        return written, written, None
    number = FLOAT.fullmatch(written) and context.column not in context.named_so
    if number and context.form is Form.FLOATS:
        return written, write_whole(written), None
    if number and context.form is Form.MIXED:
        return _doubt(written, f"{written!r} stands beside {write_whole(written)!r} and could be the same class or another "
                               f"one. Write both alike, or name it by --label-map")
    if SHEET.fullmatch(written) or (context.column == "label" and SCIENTIFIC.fullmatch(written)):
        return _doubt(written, f"{written!r} could be a number that a program wrote so. Write the number out, or name the class "
                               f"by --label-map")
    return _spell_list(written, context) if written[0] in "[{" else (written, written, None)


def _spell_list(written: str, context: Context) -> tuple[str, str, str | None]:
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        if not LIST.match(written):
            return written, written, None
        return _doubt(written, f"expected the name of one class, got what looks like a list or a map: {shorten(written)}. Write "
                               f"it as JSON, or the name alone")
    _, taken, doubt = _spell_only(value, context)
    return written, taken, doubt


def _normalise(text: str, context: Context) -> str:
    return labels.normalise_class(text) if context.column in PREDICTED else labels.normalise(text)
