"""How training goes, for people: one line that moves on a terminal, plain lines elsewhere; always on stderr."""

import sys
import time
from typing import Any

EVERY = 2.0  # seconds between plain lines


class Progress:
    """Told of every step by rank 0; the other ranks have one that is silent."""

    def __init__(self, total: int, done: int = 0, silent: bool = False) -> None:
        self.total, self.done, self.silent = total, done, silent
        self.began, self.started_at, self.rows = time.monotonic(), done, 0
        self.said = 0.0
        self.terminal = sys.stderr.isatty() and not silent
        self.bar: Any = None

    def step(self, epoch: int, epochs: int, loss: float, rows: int, steps: int = 1) -> None:
        """After an update of so many steps: rows over all ranks, their mean loss."""
        self.done, self.rows = self.done + steps, self.rows + rows
        now = time.monotonic()
        if self.silent or (now - self.said < (0.1 if self.terminal else EVERY) and self.done < self.total):
            return
        self.said = now
        spent = max(now - self.began, 1e-9)
        left = spent / max(self.done - self.started_at, 1) * (self.total - self.done)
        text = (f"epoch {epoch + 1}/{epochs}  step {self.done}/{self.total}  loss {loss:.4f}  "
                f"{self.rows / spent:,.0f} rows/s  {left:,.0f} s left")
        self._show(text)

    def line(self, text: str) -> None:
        """A line that stays."""
        if not self.silent:
            self._end()
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

    def _end(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def close(self) -> None:
        """Gives the terminal back."""
        self._end()
