"""What replay's share costs and saves: the demo's digits, trained on the drifted camera with a share of the first pictures.

    nice python -m benchmarks.forgetting [--seeds 1 2 3 4 5] [--whole] [--keep FOLDER] [--json]

Version 1 (ResNet-18, 32 px) learns 450 clean digits. Version 2 starts from it, on 100 labelled pictures of the drifted camera
and a share of the 450, chosen as `dataset.replay_share` chooses (0: dataset.replay off): its last layer is trained
(`train.freeze_backbone`), or with --whole all of it (4 epochs, else the product's defaults). Accuracy is that on 400 held-out
pictures of the drifted camera, and on the 197 held-out ones of the first dataset. Each run is another cut of the digits; +- is
the standard error over runs. --keep: a folder from which a stopped run goes on.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import drifted_digits
from benchmarks.drifted_digits import (
    Digits,
    Weights,
    answer,
    make_digits,
    measure_accuracy,
    measure_head,
    train_first,
    train_head,
)
from contract.samples import is_asked
from contract.settings import TrainSettings

SHARES, NEW, EPOCHS = (0.0, 0.25, 0.5, 1.0), 100, 4
Teacher = Callable[[list[int], list[int]], dict[str, float]]  # places of new and of replayed pictures -> accuracies


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line for each share."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="of the runs")
    parser.add_argument("--whole", action="store_true", help="fine-tune all of the network: minutes a run")
    parser.add_argument("--keep", type=Path, help="folder of what is done already")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows = [row for seed in given.seeds for row in measure(seed, given.keep, given.whole)]
    found = [summarise(share, [row for row in rows if row["share"] == share]) for share in SHARES]
    before = summarise(None, [row for row in rows if row["share"] is None])
    print(json.dumps({"before": before, "shares": found}) if given.json else text(before, found, len(given.seeds)))
    return 0


def measure(seed: int, keep: Path | None, whole: bool) -> list[dict[str, Any]]:
    """Trains version 1 and a version 2 for each share; accuracies of all on both held-out sets, the first row of version 1."""
    file = keep / f"forgetting-{seed}{'' if whole else '-head'}.json" if keep else None
    rows = list(json.loads(file.read_text())) if file and file.exists() else []
    if len(rows) > len(SHARES):
        return rows
    parts = make_digits(seed)
    one = train_first(seed, parts, keep)
    teach = (teach_whole if whole else teach_head)(seed, one, parts)
    new = np.random.default_rng([seed, 2]).permutation(len(parts.pool.data))[:NEW].tolist()
    hashes = [hashlib.sha256(data).hexdigest() for data in parts.first.data]
    for share in (None, *SHARES)[len(rows):]:
        again = [n for n, sha256 in enumerate(hashes) if is_asked("replay:", sha256, share or 0)]
        began = time.process_time()
        found = ask(one, parts) if share is None else teach(new, again)
        rows.append({"share": share, "replayed": len(again), "seconds": time.process_time() - began, **found})
        print(seed, rows[-1], file=sys.stderr, flush=True)
        if file:
            file.write_text(json.dumps(rows))
    return rows


def teach_whole(seed: int, one: Weights, parts: Digits) -> Teacher:
    """Makes what fine-tunes all of version 1."""
    def teach(new: list[int], again: list[int]) -> dict[str, float]:
        both = parts.pool.take(new).join(parts.first.take(again)) if again else parts.pool.take(new)
        return ask(drifted_digits.train(one, both, TrainSettings(epochs=EPOCHS, seed=seed)), parts)

    return teach


def teach_head(seed: int, one: Weights, parts: Digits) -> Teacher:
    """Makes what trains the last layer of version 1, on embeddings."""
    pool, first, drifted, clean = (answer(one, of)[1] for of in (parts.pool, parts.first, parts.drifted, parts.clean))
    of_pool, of_first = parts.pool.truth.numpy(), parts.first.truth.numpy()

    def teach(new: list[int], again: list[int]) -> dict[str, float]:
        head = train_head(one, np.concatenate([pool[new], first[again]]), np.concatenate([of_pool[new], of_first[again]]))
        return {"new": measure_head(head, drifted, parts.drifted.truth.numpy()),
                "first": measure_head(head, clean, parts.clean.truth.numpy())}

    return teach


def ask(weights: Weights, parts: Digits) -> dict[str, float]:
    """Measures one version on both held-out sets."""
    return {"new": measure_accuracy(weights, parts.drifted), "first": measure_accuracy(weights, parts.clean)}


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
