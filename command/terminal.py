"""Text for terminals: aligned tables, verdicts in colour, and nothing that users wrote can move the cursor."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

# Colours that stay apart for colour-blind people; the word itself always says it, too.
COLOURS = {"pass": "blue", "fail": "red", "cannot tell": "yellow"}
NUMERIC = set("0123456789.,%+-() eto")


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, numbers to the right; verdicts are coloured (command.command.emit strips that
    where the output is no terminal)."""
    table = [[printable(cell) for cell in row] for row in (head, *rows)]
    columns = list(zip(*table, strict=True))
    widths = [max(width(cell) for cell in column) for column in columns]
    right = [len(column) > 1 and any(column[1:]) and all(map(_is_number, column[1:])) for column in columns]
    return "\n".join("  ".join(_cell(cell, *shape) for cell, *shape in zip(row, widths, right, strict=True)).rstrip()
                     for row in table)


def _cell(text: str, wide: int, right: bool) -> str:
    space = " " * (wide - width(text))
    return space + text if right else verdict(text) + space


def _is_number(text: str) -> bool:
    return text in ("", "-") or (text[0].isdigit() or text[0] in "+-.") and set(text) <= NUMERIC


def verdict(text: str) -> str:
    """A verdict in its colour; other words as they are."""
    import click

    return click.style(text, fg=COLOURS[text], bold=True) if text in COLOURS else text


def width(text: str) -> int:
    """Columns that a text takes: wide characters two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def printable(text: str) -> str:
    """The text with control characters shown as escapes."""
    return "".join(c if unicodedata.category(c)[0] != "C" else c.encode("unicode_escape").decode() for c in text)


def figure(value: Mapping[str, Any]) -> str:
    """`0.931 (0.902 to 0.952)`, or a dash for a figure that could not be computed."""
    if value.get("value") is None:
        return "-"
    if value.get("low") is None or value.get("high") is None:
        return f"{value['value']:.3f}"
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
