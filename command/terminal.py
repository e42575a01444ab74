"""Text for terminals: tables, verdicts in colour, and nothing that users wrote can move the cursor."""

import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Sequence
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

# Colours that stay apart for colour-blind people; the word itself always says it, too.
COLOURS = {"pass": "blue", "fail": "red", "cannot tell": "yellow"}
NUMERIC = set("0123456789.,%+-() eto")
WIDEST = 100_000  # columns of a table that goes into a pipe: not wrapped, for its lines are searched and cut by other tools
NARROWEST, LONG_WORD = 40, 20
# An interval stays in one piece where a cell goes on in the next line.
INTERVAL = re.compile(r"\([^()]{1,40}\)")
KEPT = "\ue000"  # a space that rich does not take for one; it breaks lines at a no-break space, too


def align(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lays a table out: columns as wide as their widest cell, numbers to the right, verdicts coloured.

    On a terminal it is no wider than that: cells go on in the next line. `command.command.emit` removes the colours where the
    output is no terminal.
    """
    from rich.console import Console
    from rich.table import Table

    width = find_width()
    keep = _keep_intervals if width < WIDEST and _measure_least(head, rows, _keep_intervals) <= width else str
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for column, title in enumerate(head):
        numbers = _are_numbers([row[column] for row in rows])
        least = _measure_column(head, rows, column, keep)
        table.add_column(_cell(keep(escape(title))), justify="right" if numbers else "left", no_wrap=width == WIDEST,
                         overflow="fold", min_width=None if width == WIDEST else least)
    for row in rows:
        table.add_row(*(_cell(keep(escape(text))) for text in row))
    # The console is told everything: what it would find out about this process is not what the text is for.
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="standard", no_color=False,
                      force_jupyter=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().replace(KEPT, " ").splitlines())


def find_width() -> int:
    """Finds how many columns a table may have: those of the terminal."""
    if not sys.stdout.isatty():
        return WIDEST
    return max(NARROWEST, shutil.get_terminal_size().columns)


def _keep_intervals(text: str) -> str:
    return INTERVAL.sub(lambda found: found[0].replace(" ", KEPT), text)


def _measure_least(head: Sequence[str], rows: Sequence[Sequence[str]], keep: Callable[[str], str]) -> int:
    """Measures how many columns a table needs at the least when its words stay whole."""
    return sum(_measure_column(head, rows, column, keep) + 2 for column in range(len(head))) - 2


def _measure_column(head: Sequence[str], rows: Sequence[Sequence[str]], column: int, keep: Callable[[str], str]) -> int:
    """Measures the longest word of a column, in characters; of words that are longer than LONG_WORD, that much."""
    texts = (head[column], *(row[column] for row in rows))
    return min(LONG_WORD, max(len(word) for text in texts for word in keep(text).split(" ")))


def _cell(text: str) -> "Text":
    from rich.text import Text

    cell = Text(text)
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
