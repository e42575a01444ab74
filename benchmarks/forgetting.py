"""What replay's share costs and saves: the demo's digits, fine-tuned on the drifted camera with a share of the first pictures.

    nice python -m benchmarks.forgetting [--runs 5] [--seed 1] [--json]

Version 1 learns 450 clean digits. Version 2 starts from it, by the product's default settings (8 epochs, batches of 32), on 200
labelled pictures of the drifted camera and a share of the 450, chosen as `dataset.replay_share` chooses (0: dataset.replay
off). Asked are 400 held-out pictures of the drifted camera, and the 197 held-out ones of the first dataset. Each run is another
cut of the digits; the spread is the standard error over runs.
"""

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks import drifted_digits
from benchmarks.drifted_digits import Digits, Weights, make_digits, measure_accuracy, train_first
from benchmarks.simulation import read_options
from contract.samples import is_asked
from contract.settings import TrainSettings

SHARES, NEW = (0.0, 0.1, 0.25, 0.5, 1.0), 200


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line for each share."""
    given = read_options(__doc__, argv, 5)
    torch.set_num_threads(1)
    rows = [row for seed in range(given.seed, given.seed + given.runs) for row in measure(seed)]
    found = [summarise(share, [row for row in rows if row["share"] == share]) for share in SHARES]
    before = summarise(None, [row for row in rows if row["share"] is None])
    print(json.dumps({"before": before, "shares": found}) if given.json else text(before, found, given.runs))
    return 0


def measure(seed: int) -> list[dict[str, Any]]:
    """Trains version 1 and a version 2 for each share; accuracies of all on both held-out sets, the first row of version 1."""
    parts = make_digits(seed)
    one = train_first(seed, parts)
    return [ask(None, one, parts, 0.0, 0), *(retrain(seed, share, one, parts) for share in SHARES)]


def retrain(seed: int, share: float, one: Weights, parts: Digits) -> dict[str, Any]:
    """Fine-tunes version 1 with a share of its training pictures."""
    new = np.random.default_rng([seed, 2]).permutation(len(parts.pool.data))[:NEW].tolist()
    hashes = [hashlib.sha256(data).hexdigest() for data in parts.first.data]
    again = [n for n, sha256 in enumerate(hashes) if is_asked("replay:", sha256, share)]
    began = time.process_time()
    both = parts.pool.take(new).join(parts.first.take(again)) if again else parts.pool.take(new)
    two = drifted_digits.train(one, both, TrainSettings(seed=seed))
    return ask(share, two, parts, time.process_time() - began, len(again))


def ask(share: float | None, weights: Weights, parts: Digits, seconds: float, replayed: int) -> dict[str, Any]:
    """Asks one version both held-out sets."""
    row = {"share": share, "replayed": replayed, "seconds": seconds, "new": measure_accuracy(weights, parts.drifted),
           "first": measure_accuracy(weights, parts.clean)}
    print(row, file=sys.stderr, flush=True)
    return row


def summarise(share: float | None, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over runs, with their standard errors."""
    found: dict[str, Any] = {"share": share}
    for name in ("replayed", "seconds", "new", "first"):
        values = np.array([row[name] for row in rows], float)
        found[name] = float(values.mean())
        found[f"{name}_error"] = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
    return found


def text(before: dict[str, Any], found: Sequence[dict[str, Any]], runs: int) -> str:
    """Writes the table."""
    head = f"{'share':>9} {'replayed':>9} {'on new':>16} {'on first':>16} {'seconds':>8}   {runs} runs"
    return "\n".join([head, *(_write_row("version 1" if row["share"] is None else f"{row['share']:g}", row)
                              for row in [before, *found])])


def _write_row(name: str, row: dict[str, Any]) -> str:
    new, first = (f"{100 * row[k]:.1f}% +- {100 * row[f'{k}_error']:.1f}" for k in ("new", "first"))
    return f"{name:>9} {row['replayed']:>9.0f} {new:>16} {first:>16} {row['seconds']:>8.0f}"


if __name__ == "__main__":
    sys.exit(main())
