"""Writes figures while training goes on, in a folder of rank 0's machine: `metrics.jsonl`, a line for each update and
epoch, and TensorBoard's events (`tensorboard --logdir DIR`). Set by `train.log_dir`; a resumed run goes on with both.
Epochs are also told to MLflow, where that is set.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from contract.errors import UsageError
from training.fit.epoch_reporter import EpochReporter

if TYPE_CHECKING:
    from torch.utils import tensorboard

FILE = "metrics.jsonl"


class MetricsLog:
    """Logs every update and epoch of rank 0; without a folder it writes nothing."""

    def __init__(self, folder: str | None, update: int = 0, track: dict[str, str] | None = None) -> None:
        """Opens both files; `update`: number of the next one. Events of later ones, from before a crash, are hidden.

        `track`: the run of MLflow that is told of epochs.
        """
        self.events: tensorboard.SummaryWriter | None = None
        self.lines: TextIO | None = None
        self.reporter = EpochReporter(track)
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(f"train.log_dir: TensorBoard's events need the package tensorboard ({error}). "
                             f"`make setup` installs it.") from error
        self.events = SummaryWriter(folder, purge_step=update)
        self.lines = open(Path(folder, FILE), "a", encoding="utf-8")  # noqa: SIM115  (closed in close)

    def log_update(self, update: int, **figures: float) -> None:
        """Logs an update by its number with its figures, such as loss, lr, rows."""
        self._write("update", update, figures)

    def log_epoch(self, entry: dict[str, Any]) -> None:
        """Logs an epoch: `entry` is its entry in the card's history."""
        self.reporter.report(entry)
        validation = {f"validation_{k}": v for k, v in (entry["validation"] or {}).items()}
        self._write("epoch", entry["epoch"], {k: v for k, v in entry.items() if k not in ("epoch", "validation")} | validation)

    def _write(self, kind: str, number: int, figures: dict[str, float]) -> None:
        if self.lines is None or self.events is None:
            return
        print(json.dumps({kind: number} | figures), file=self.lines, flush=True)
        for name, value in figures.items():
            self.events.add_scalar(f"{kind}/{name}", value, number)
        self.events.flush()

    def close(self) -> None:
        """Closes both files, and waits a moment for MLflow."""
        self.reporter.close()
        if self.lines is not None:
            self.lines.close()
        if self.events is not None:
            self.events.close()
