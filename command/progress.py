"""Progress of long work: a live bar on a terminal, plain lines elsewhere; always on standard error."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

LINE_EVERY = 5.0  # seconds between plain lines


class Progress:
    """Counts `unit`s done out of `total`, with free figures beside them (loss, rows per second, …)."""

    def __init__(self, what: str, total: int, unit: str) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done = 0
        self.started = self.printed = time.monotonic()

    def advance(self, n: int = 1, **figures: object) -> None:
        """n more are done; `figures` are shown as they are."""
        self.done += n
        self.show(figures)

    def show(self, figures: dict[str, object]) -> None:
        """A plain line when the last one is old enough, or when all is done."""
        now = time.monotonic()
        if now - self.printed >= LINE_EVERY or self.done == self.total:
            self.printed = now
            print(self.line(figures), file=sys.stderr, flush=True)

    def line(self, figures: dict[str, object]) -> str:
        """`train: 40/200 steps, 12.3/s, 13 s left, loss 0.41`."""
        took = max(time.monotonic() - self.started, 1e-9)
        rate = self.done / took
        left = f"{(self.total - self.done) / rate:.0f} s left" if self.done < self.total and rate else f"took {took:.1f} s"
        shown = "".join(f", {name} {value}" for name, value in figures.items())
        return f"{self.what}: {self.done:,}/{self.total:,} {self.unit}, {rate:,.1f}/s, {left}{shown}"


class _Bar(Progress):
    """The same on a terminal, as one line that is drawn over."""

    def show(self, figures: dict[str, object]) -> None:
        now = time.monotonic()
        if now - self.printed >= 0.1 or self.done == self.total:
            self.printed = now
            end = "\n" if self.done == self.total else ""
            print(f"\r\x1b[K{self.line(figures)}", end=end, file=sys.stderr, flush=True)


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Progress]:
    """A Progress for one piece of work; a terminal gets the bar."""
    yield (_Bar if sys.stderr.isatty() else Progress)(what, total, unit)
