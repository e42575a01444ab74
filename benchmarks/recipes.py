"""Which recipes of training help a version that is fine-tuned: three made tasks, several seeds, in pairs with the default.

    python -m benchmarks.recipes [--seeds 5] [--first-seed 1] [--tasks digits,letters,textures] [--recipes mixup,rand] [--json]

Of each task and seed a small network learns the pictures of a clean camera, by larger and more steps; from it every recipe
fine-tunes on few pictures of another camera, and is judged on more of that one. Printed is the mean accuracy of the default,
and of every other recipe the mean difference from it in points, with the 95% interval by Student's t over seeds; `all` is of
the means over the tasks, `of many` the same with Bonferroni's allowance for that many recipes. One thread, one rank.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from benchmarks.gpu import jobs, made
from benchmarks.recipe_tasks import SIDE, TASKS
from benchmarks.timed import machine, table, today
from contract import layout
from contract.storage import open_root
from contract.texts.figures import write_percent, write_points
from metrics.intervals import t_of

NETWORK = "benchmarks.recipes:build"
DEFAULT = "default"
RECIPES: dict[str, dict[str, Any]] = {
    DEFAULT: {}, "mixup": {"mixup": 0.2}, "cutmix": {"cutmix": 1.0}, "mixup or cutmix": {"mixup": 0.2, "cutmix": 1.0},
    "rand": {"augment": "rand"}, "trivial": {"augment": "trivial"}, "no augmentation": {"augment": "none"},
    "unfreeze over half": {"unfreeze_share": 0.5}, "effective": {"class_weights": "effective"},
    "balanced": {"class_weights": "balanced"}, "no smoothing": {"label_smoothing": 0.0}}
FIRST = {"epochs": 12, "lr": 0.005}  # of the version that is live: it knows its pictures
LEVEL = 0.95


class Block(nn.Module):
    """A residual block that halves the sides."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(into, out, 3, 2, 1, bias=False), nn.BatchNorm2d(out)
        self.second, self.norm2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.past, self.norm3 = nn.Conv2d(into, out, 1, 2, bias=False), nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """Returns [n, out, H / 2, W / 2]."""
        y = self.norm2(self.second(nn.functional.relu(self.norm1(self.first(x)))))
        return nn.functional.relu(y + self.norm3(self.past(x)))


def build(classes: int) -> nn.Module:
    """A residual network of 73,000 weights."""
    return nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Block(16, 32), Block(32, 64),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    os.environ.setdefault("TRUEUP_ALLOW_MODULES", "[benchmarks]")
    load = os.getloadavg()[0]
    recipes = list(dict.fromkeys([DEFAULT, *given.recipes.split(",")]))
    accuracy = measure(given.tasks.split(","), recipes, range(given.first_seed, given.first_seed + given.seeds))
    others = [recipe for recipe in recipes if recipe != DEFAULT]
    document = {"machine": machine(), "date": today(), "load_before": round(load, 1), "seeds": given.seeds, "accuracy": accuracy,
                "against_default": {recipe: compare(accuracy, recipe, len(others)) for recipe in others}}
    print(json.dumps(document, indent=1) if given.json else text(document))
    return 0


def measure(tasks: Sequence[str], recipes: Sequence[str], seeds: Sequence[int]) -> dict[str, dict[str, list[float]]]:
    """Returns task -> recipe -> the accuracy on `held` of each seed; says each as it comes."""
    accuracy: dict[str, dict[str, list[float]]] = {task: {recipe: [] for recipe in recipes} for task in tasks}
    for seed in seeds:
        for task in tasks:
            with tempfile.TemporaryDirectory(prefix="trueup-recipes-") as folder:
                for recipe, value in measure_task(folder, task, recipes, seed).items():
                    accuracy[task][recipe].append(value)
    return accuracy


def measure_task(folder: str, task: str, recipes: Sequence[str], seed: int) -> dict[str, float]:
    """Trains the first version of one task and seed, then fine-tunes it by each recipe; returns the accuracies."""
    make, classes = TASKS[task]
    parts, storage = make(seed), open_root(f"{folder}/root", create=True)
    held = made.split_rows("validation", parts["held"], 1)
    found: dict[str, float] = {}
    for name, part in (("first", "first"), *((recipe, "tuning") for recipe in recipes)):
        began = time.perf_counter()
        rows = made.split_rows("train", parts[part], 4) | held
        labels = parts[part].labels.bincount(minlength=len(classes)).clamp(min=1).tolist()
        written = jobs.write_manifest(storage, {key: len(of.hashes) for key, of in rows.items()}, list(classes))
        per_class = {"train": dict(zip(classes, labels, strict=True))}
        storage.put(layout.manifest(written.dataset), written.model_copy(update={"per_class": per_class}).to_bytes())
        settings: Mapping[str, Any] = {"augment": "light", "seed": seed} | (FIRST if name == "first" else RECIPES[name])
        job = jobs.make_job(storage.root, name.replace(" ", "-"), NETWORK, list(classes), SIDE, 1,
                            start=None if name == "first" else "first.safetensors", **settings)
        made.train(job, "cpu", made.MemoryFeed(rows))
        weights, last = made.read_result(job)
        print(f"{task}, seed {seed}, {name}: {last['validation']['accuracy']:.4f} ({time.perf_counter() - began:.1f} s)",
              file=sys.stderr, flush=True)
        if name == "first":
            storage.put("first.safetensors", weights)
        else:
            found[name] = last["validation"]["accuracy"]
    return found


def compare(accuracy: Mapping[str, Mapping[str, Sequence[float]]], recipe: str, recipes: int
            ) -> dict[str, dict[str, float | None]]:
    """Returns task, `all` and `of many` -> value, low and high of the mean difference from the default; null bounds for one seed.

    `recipes`: how many are compared with the default.
    """
    differences = {task: [a - b for a, b in zip(of[recipe], of[DEFAULT], strict=True)] for task, of in accuracy.items()}
    differences["all"] = [statistics.fmean(row) for row in zip(*differences.values(), strict=True)]
    many = estimate_mean(differences["all"], 1 - (1 - LEVEL) / recipes)
    return {task: estimate_mean(values) for task, values in differences.items()} | {"of many": many}


def estimate_mean(values: Sequence[float], level: float = LEVEL) -> dict[str, float | None]:
    """Returns value, low and high of a mean, by Student's t."""
    value, n = statistics.fmean(values), len(values)
    if n < 2:
        return {"value": value, "low": None, "high": None}
    half = t_of(level, n - 1) * statistics.stdev(values) / n**0.5
    return {"value": value, "low": value - half, "high": value + half}


def text(document: Mapping[str, Any]) -> str:
    """The table for people."""
    accuracy, against = document["accuracy"], document["against_default"]
    means = {task: statistics.fmean(of[DEFAULT]) for task, of in accuracy.items()}
    rows = [("recipe", *accuracy, "all", "of many"),
            (DEFAULT, *(write_percent(mean, 1) for mean in (*means.values(), statistics.fmean(means.values()))), "")]
    rows += [(recipe, *(write_points(figure).replace(" points", "") for figure in of.values())) for recipe, of in against.items()]
    return (f"{document['machine']}, {document['date']}, load before: {document['load_before']}, {document['seeds']} seeds\n"
            f"{table(rows)}")


if __name__ == "__main__":
    sys.exit(main())
