"""How training goes, for people: `command.progress` with the figures of training; one rank shows it."""

import time

from command import spans
from command.progress import start_progress


class TrainingProgress:
    """Told of every step by rank 0; the other ranks have one that is silent."""

    def __init__(self, total: int, done: int = 0, silent: bool = False) -> None:
        self.shown = None if silent else start_progress("train", total, "steps", done)
        self.started = time.monotonic()
        self.rows = 0

    def step(self, epoch: int, epochs: int, loss: float, rows: int, steps: int = 1) -> None:
        """Counts an update of so many steps: rows over all ranks, their mean loss."""
        self.rows += rows
        if self.shown is not None:
            rows_per_s = self.rows / max(time.monotonic() - self.started, 1e-9)
            figures = {"epoch": f"{epoch + 1}/{epochs}", "loss": f"{loss:.4f}", "rows/s": f"{rows_per_s:,.0f}"}
            self.shown.advance(steps, **figures)

    def line(self, text: str) -> None:
        """Prints a line that stays."""
        if self.shown is not None:
            self.shown.print(text)

    def close(self) -> None:
        """Gives the terminal back."""
        if self.shown is not None:
            self.shown.close()
            spans.write(spans.TRAINING, self.started)
