"""Progress of long work: a live bar (rich) on a terminal, plain lines elsewhere; always on standard error.

    with progress("evaluate", len(days), "days") as shown:
        for day in days:
            shown.advance(day=day)
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY = 5.0  # seconds between plain lines
DRAW_EVERY = 0.1  # seconds between drawings of the bar


class Progress:
    """Counts `unit`s done out of `total` and prints plain lines; `done` of them were there before it began."""

    every = LINE_EVERY

    def __init__(self, what: str, total: int, unit: str, done: int = 0) -> None:
        self.what = what
        self.total = total
        self.unit = unit
        self.done = done
        self.done_before = done
        self.started = time.monotonic()
        self.shown_at = self.started

    def advance(self, n: int = 1, **figures: object) -> None:
        """Counts n more as done; `figures` (loss, rows per second, …) are shown as they are."""
        self.done += n
        now = time.monotonic()
        if now - self.shown_at >= self.every or self.done == self.total:
            self.shown_at = now
            self.show(self.line(figures))

    def show(self, line: str) -> None:
        """Shows the state of the work."""
        self.print(line)

    def print(self, text: str) -> None:
        """Prints a line that stays."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends the display."""

    def line(self, figures: dict[str, object]) -> str:
        """Writes the state: `train: 40/200 steps, 12.3/s, 13 s left, loss 0.41`."""
        took = max(time.monotonic() - self.started, 1e-9)
        rate = (self.done - self.done_before) / took
        left = f"{(self.total - self.done) / rate:,.0f} s left" if self.done < self.total and rate else f"took {took:.1f} s"
        shown = "".join(f", {name} {value}" for name, value in figures.items())
        return f"{self.what}: {self.done:,}/{self.total:,} {self.unit}, {rate:,.1f}/s, {left}{shown}"


class BarProgress(Progress):
    """The same on a terminal: a bar beside the line, drawn over."""

    every = DRAW_EVERY

    def __init__(self, console: "Console", what: str, total: int, unit: str, done: int = 0) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        super().__init__(what, total, unit, done)
        # No thread draws: workers are forked while the bar is there. Standard output is for documents, and stays as it is.
        self.bar = RichProgress(BarColumn(bar_width=24), TextColumn("{task.description}", markup=False), console=console,
                                auto_refresh=False, redirect_stdout=False)
        self.task = self.bar.add_task(what, total=total, completed=done)
        self.bar.start()

    def show(self, line: str) -> None:
        """Draws the bar with the line beside it."""
        self.bar.update(self.task, completed=self.done, description=line, refresh=True)

    def print(self, text: str) -> None:
        """Prints a line above the bar."""
        self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Draws the bar for the last time and leaves it."""
        self.bar.stop()


def start_progress(what: str, total: int, unit: str, done: int = 0) -> Progress:
    """Makes the Progress of one piece of work, to be closed by the caller; a terminal gets the bar."""
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True)
        if console.is_terminal and not console.is_dumb_terminal:
            return BarProgress(console, what, total, unit, done)
    return Progress(what, total, unit, done)


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Progress]:
    """Shows the progress of the block's work, and closes it."""
    shown = start_progress(what, total, unit)
    try:
        yield shown
    finally:
        shown.close()
