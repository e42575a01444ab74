"""Text for terminals: tables, verdicts in colour, and nothing that users wrote can move the cursor."""

import unicodedata
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

# Colours that stay apart for colour-blind people; the word itself always says it, too.
COLOURS = {"pass": "blue", "fail": "red", "cannot tell": "yellow"}
NUMERIC = set("0123456789.,%+-() eto")
WIDEST = 100_000  # columns of a table: never wrapped, for its lines are searched and cut by other tools


def align(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lays a table out: columns as wide as their widest cell, numbers to the right, verdicts coloured.

    `command.command.emit` removes the colours where the output is no terminal.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for column, title in enumerate(head):
        numbers = _are_numbers([row[column] for row in rows])
        table.add_column(_cell(title), justify="right" if numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell, row))
    # The console is told everything: what it would find out about this process is not what the text is for.
    console = Console(file=StringIO(), width=WIDEST, force_terminal=True, color_system="standard", no_color=False,
                      force_jupyter=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _cell(text: str) -> "Text":
    from rich.text import Text

    cell = Text(escape(text))
    if text in COLOURS:
        cell.stylize(f"bold {COLOURS[text]}")
    return cell


def _are_numbers(texts: Sequence[str]) -> bool:
    return any(texts) and all(map(_is_number, texts))


def _is_number(text: str) -> bool:
    return text in ("", "-", "–") or (text[0].isdigit() or text[0] in "+-.") and set(text) <= NUMERIC


def colour_verdict(text: str) -> str:
    """Colours a verdict; other words stay as they are."""
    import click

    return click.style(text, fg=COLOURS[text], bold=True) if text in COLOURS else text


def escape(text: str) -> str:
    """Escapes the control characters of a text."""
    return "".join(c if unicodedata.category(c)[0] != "C" else c.encode("unicode_escape").decode() for c in text)
