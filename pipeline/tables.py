"""Aligned tables for terminals."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell; names given by users cannot move the cursor or colour the terminal."""
    table = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in table)


def printable(text: str) -> str:
    """The text with control characters shown as escapes."""
    return "".join(c if unicodedata.category(c)[0] != "C" else c.encode("unicode_escape").decode() for c in text)


def figure(value: Mapping[str, Any]) -> str:
    """`0.931 (0.902 to 0.952)`, or a dash for a figure that could not be computed."""
    if value.get("value") is None:
        return "-"
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
