"""Shows people how training goes: one line that moves on a terminal, plain lines elsewhere; always on stderr."""

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

TERMINAL_S, PLAIN_S = 0.1, 2.0  # least seconds between lines


class Progress:
    """Shows the steps of rank 0, `done` of `total` so far; the other ranks have one that is silent."""

    def __init__(self, total: int, done: int = 0, silent: bool = False) -> None:
        self.total = total
        self.done = done
        self.silent = silent
        self.began = time.monotonic()
        self.done_before = done
        self.rows = 0
        self.shown_at = 0.0
        self.terminal = sys.stderr.isatty() and not silent
        self.bar: Status | None = None

    def update(self, epoch: int, epochs: int, loss: float, rows: int, steps: int = 1) -> None:
        """Counts an update of `steps` steps, with their rows over all ranks and mean loss, and shows it when it is time."""
        self.done += steps
        self.rows += rows
        now = time.monotonic()
        if self.silent or (now - self.shown_at < (TERMINAL_S if self.terminal else PLAIN_S) and self.done < self.total):
            return
        self.shown_at = now
        spent = max(now - self.began, 1e-9)
        left = spent / max(self.done - self.done_before, 1) * (self.total - self.done)
        text = (f"epoch {epoch + 1}/{epochs}  step {self.done}/{self.total}  loss {loss:.4f}  "
                f"{self.rows / spent:,.0f} rows/s  {left:,.0f} s left")
        self._show(text)

    def print_line(self, text: str) -> None:
        """Prints a line that stays."""
        if not self.silent:
            self.close()
            print(text, file=sys.stderr, flush=True)

    def _show(self, text: str) -> None:
        if not self.terminal:
            print(text, file=sys.stderr, flush=True)
            return
        if self.bar is None:
            from rich.console import Console
            from rich.status import Status

            self.bar = Status(text, console=Console(stderr=True))
            self.bar.start()
        self.bar.update(text)

    def close(self) -> None:
        """Ends the line that moves."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
