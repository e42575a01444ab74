"""How many labels it takes to teach the demo's network the drifted camera, when pictures are picked and when they are drawn.

    nice python -m benchmarks.picks [--seeds 1 2 3 4 5] [--labels 50] [--whole] [--keep FOLDER] [--json]

Version 1 (ResNet-18, 32 px) learns 450 clean digits. It looks at 947 unlabelled pictures of the drifted camera, some are
labelled, and its last layer is trained on these alone (`train.freeze_backbone`); with --whole all of it is fine-tuned (10
epochs, batches of 16, else the product's defaults). Asked are 400 held-out pictures of the drifted camera. Pictures are drawn at
random (ten draws; two with --whole), the least sure are taken, one of each cluster of embeddings, or one of each cluster in which
pictures weigh as much as the model is unsure of them: what `trueup review pick` does, with embeddings and with perceptual
hashes, by its own functions. Each run is another cut of the digits. Aim: picked pictures reach with 60% of the labels what
random ones reach. --keep: a folder from which a stopped run goes on.
"""

import argparse
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
    train_head,
)
from contract.settings import TrainSettings
from inference.model.perceptual_hash import phash
from inference.model.preprocess import decode
from jobs.picking.choose import choose, make_look_of_hashes

RANDOM, SURE, SPREAD, DIVERSE, HASHED = "random", "least sure", "clusters", "diverse", "diverse, by hash"
LABELS, LESS = (50, 100, 200), 0.6  # labels of random pictures, and the share of them that is to suffice
DRAWS, DRAWS_OF_WHOLE = 10, 2
TOP, NEAR_BITS = 5, 2
SETTINGS = TrainSettings(epochs=10, batch=16)
Chooser = Callable[[int], Sequence[int]]
Teacher = Callable[[Sequence[int]], float]  # places in the pool -> accuracy on held-out pictures after training on them


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line for each way of choosing, and whether the aim is reached."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="of the runs")
    parser.add_argument("--labels", type=int, action="append", help="of random pictures; repeatable [default: 50, 100 and 200]")
    parser.add_argument("--whole", action="store_true", help="fine-tune all of the network: minutes a run")
    parser.add_argument("--keep", type=Path, help="folder of what is done already")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    labels = given.labels or LABELS
    rows = [row for seed in given.seeds for row in measure(seed, labels, given.keep, given.whole)]
    found = {"accuracy": summarise(rows), "aims": [compare(rows, n, how) for n in labels for how in (DIVERSE, HASHED)]}
    print(json.dumps(found) if given.json else text(found, len(given.seeds)))
    return 0


def measure(seed: int, labels: Sequence[int], keep: Path | None, whole: bool) -> list[dict[str, Any]]:
    """Trains version 1 of a seed, and teaches it by each way of choosing and number of labels."""
    parts = make_digits(seed)
    one = drifted_digits.train_first(seed, parts, keep)
    p, look = answer(one, parts.pool)
    ways = list_ways(seed, p, look, parts)
    teach = make_teacher(seed, one, parts, look, whole)
    fewer = [round(LESS * n) for n in labels]
    asked = [(how, draw, n) for how, draw in ways for n in (*(labels if how == RANDOM else ()), *(fewer if draw == 0 else ()))
             if not (whole and draw >= DRAWS_OF_WHOLE)]
    rows = [{"seed": seed, "how": "version 1", "labels": 0, "draw": 0, "accuracy": measure_accuracy(one, parts.drifted)}]
    for how, draw, n in asked:
        name = f"{seed}-{how}-{draw}-{n}{'' if whole else '-head'}"
        rows.append(_keep_row(keep, name, {"seed": seed, "how": how, "labels": n, "draw": draw},
                              lambda choose_some=ways[how, draw], n=n: teach(choose_some(n))))
    return rows


def list_ways(seed: int, p: np.ndarray, look: np.ndarray, parts: Digits) -> dict[tuple[str, int], Chooser]:
    """Lists ways of choosing n places of the pool, and which draw it is, by what version 1 answers to it."""
    top = np.sort(p, 1)[:, ::-1][:, :TOP]  # what a service logs
    unsure = 1 - (top[:, 0] - top[:, 1])
    near = np.array([phash(decode(data)) for data in parts.pool.data], np.int64)
    drawn = [np.random.default_rng([seed, 7 + draw]).permutation(len(p)).tolist() for draw in range(DRAWS)]
    by = {SPREAD: (look, np.ones(len(p))), DIVERSE: (look, unsure), HASHED: (make_look_of_hashes(near), unsure)}
    return {**{(RANDOM, draw): lambda n, order=order: order[:n] for draw, order in enumerate(drawn)},
            (SURE, 0): lambda n: np.argsort(-unsure, kind="stable")[:n].tolist(),
            **{(how, 0): lambda n, of=of: choose(*of, near, n, seed, NEAR_BITS) for how, of in by.items()}}


def make_teacher(seed: int, one: Weights, parts: Digits, look: np.ndarray, whole: bool) -> Teacher:
    """Makes what trains version 1 on some pictures of the pool, and asks it the held-out ones."""
    if whole:
        settings = SETTINGS.model_copy(update={"seed": seed})
        return lambda places: measure_accuracy(drifted_digits.train(one, parts.pool.take(places), settings), parts.drifted)
    held, truth = answer(one, parts.drifted)[1], parts.pool.truth.numpy()
    named = parts.drifted.truth.numpy()
    return lambda places: measure_head(train_head(one, look[list(places)], truth[list(places)]), held, named)


def _keep_row(keep: Path | None, name: str, row: dict[str, Any], work: Callable[[], float]) -> dict[str, Any]:
    """Does what is not done already, and says on standard error how long it took."""
    file = keep / f"{name}.json" if keep else None
    if file and file.exists():
        return dict(json.loads(file.read_text()))
    began = time.process_time()
    found = {**row, "accuracy": work()}
    print(f"{found}, {time.process_time() - began:.1f} s of processor", file=sys.stderr, flush=True)
    if file:
        file.write_text(json.dumps(found))
    return found


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Way of choosing -> labels -> mean accuracy over runs, its standard error."""
    found: dict[str, dict[str, Any]] = {}
    for how, n in dict.fromkeys((row["how"], row["labels"]) for row in rows):
        values = list(average_by_seed(rows, how, n).values())
        found.setdefault(how, {})[str(n)] = {"mean": float(np.mean(values)), "error": _error(values)}
    return found


def average_by_seed(rows: Sequence[dict[str, Any]], how: str, labels: int) -> dict[int, float]:
    """Seed -> the accuracy, averaged over draws."""
    mine = [row for row in rows if (row["how"], row["labels"]) == (how, labels)]
    return {seed: float(np.mean([row["accuracy"] for row in mine if row["seed"] == seed]))
            for seed in sorted({row["seed"] for row in mine})}


def compare(rows: Sequence[dict[str, Any]], labels: int, how: str) -> dict[str, Any]:
    """A way of choosing with 60% of the labels minus random choice with all of them, run by run."""
    drawn, picked = average_by_seed(rows, RANDOM, labels), average_by_seed(rows, how, round(LESS * labels))
    gains = [picked[seed] - drawn[seed] for seed in drawn]
    return {"labels": labels, "picked": round(LESS * labels), "how": how, "difference": float(np.mean(gains)),
            "error": _error(gains), "runs_reached": sum(gain >= 0 for gain in gains), "runs": len(gains)}


def _error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def text(found: dict[str, Any], runs: int) -> str:
    """Writes the table, and the comparisons."""
    columns = sorted({int(n) for of in found["accuracy"].values() for n in of} - {0})
    head = f"{'':>16} " + " ".join(f"{n:>5} labels " for n in columns) + f"  {runs} runs, accuracy on the drifted camera"
    before = found["accuracy"]["version 1"]["0"]
    lines = [f"version 1: {_write(before)}", head]
    for how, of in found["accuracy"].items():
        if how != "version 1":
            lines.append(f"{how:>16} " + " ".join(f"{_write(of[str(n)]) if str(n) in of else '':>13}" for n in columns))
    lines += [f"{aim['how']} with {aim['picked']} labels, minus random with {aim['labels']}: "
              f"{100 * aim['difference']:+.1f} points "
              f"+- {100 * aim['error']:.1f}; reached in {aim['runs_reached']} of {aim['runs']} runs" for aim in found["aims"]]
    return "\n".join(lines)


def _write(figure: dict[str, float]) -> str:
    return f"{100 * figure['mean']:.1f}% +- {100 * figure['error']:.1f}"


if __name__ == "__main__":
    sys.exit(main())
