"""Figures while training goes on, in a folder of rank 0's machine: `metrics.jsonl`, a line for each update and epoch,
and TensorBoard's events (`tensorboard --logdir DIR`). Set by `train.log_dir`; a resumed run goes on with both.
"""

import json
from pathlib import Path
from typing import Any

from contract.errors import UsageError

FILE = "metrics.jsonl"


class MetricsLog:
    """Told of every update and epoch by rank 0; without a folder it writes nothing."""

    def __init__(self, folder: str | None, update: int = 0) -> None:
        """`update`: the next one's number; events of later ones, from before a crash, are left out of view."""
        self.events, self.lines = None, None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(f"train.log_dir: TensorBoard's events need the package tensorboard ({error}). "
                             f"`make setup` installs it.") from error
        self.events = SummaryWriter(folder, purge_step=update)
        self.lines = open(Path(folder, FILE), "a", encoding="utf-8")  # noqa: SIM115  (closed in close)

    def update(self, update: int, **figures: float) -> None:
        """After an update: its number and figures, such as loss, lr, rows."""
        self._write("update", update, figures)

    def epoch(self, entry: dict[str, Any]) -> None:
        """After an epoch: its entry in the card's history."""
        judged = {f"validation_{k}": v for k, v in (entry["validation"] or {}).items()}
        self._write("epoch", entry["epoch"], {k: v for k, v in entry.items() if k not in ("epoch", "validation")} | judged)

    def _write(self, kind: str, number: int, figures: dict[str, float]) -> None:
        if self.lines is None:
            return
        print(json.dumps({kind: number} | figures), file=self.lines, flush=True)
        for name, value in figures.items():
            self.events.add_scalar(f"{kind}/{name}", value, number)
        self.events.flush()

    def close(self) -> None:
        """Ends both files."""
        if self.lines is not None:
            self.lines.close()
            self.events.close()
