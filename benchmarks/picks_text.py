"""What benchmarks.picks prints of its runs: accuracies, how many random labels do as well, and whether the aim is reached."""

from collections.abc import Sequence
from typing import Any

import numpy as np

LESS = 0.6  # the share of random choice's labels that is to suffice
Row = dict[str, Any]


def summarise(rows: Sequence[Row], ways: Sequence[str], random: str, picked: Sequence[int]) -> dict[str, Any]:
    """Accuracies by way and labels, and each way's comparisons with random choice."""
    accuracy: dict[str, dict[str, Any]] = {}
    for how, n in dict.fromkeys((row["how"], row["labels"]) for row in rows):
        values = list(average_by_seed(rows, how, n).values())
        accuracy.setdefault(how, {})[str(n)] = {"mean": float(np.mean(values)), "error": _error(values)}
    return {"accuracy": accuracy, "aims": [compare(rows, n, how, random) for how in ways for n in picked]}


def average_by_seed(rows: Sequence[Row], how: str, labels: int) -> dict[int, float]:
    """Seed -> the accuracy, averaged over draws."""
    mine = [row for row in rows if (row["how"], row["labels"]) == (how, labels)]
    return {seed: float(np.mean([row["accuracy"] for row in mine if row["seed"] == seed]))
            for seed in sorted({row["seed"] for row in mine})}


def compare(rows: Sequence[Row], labels: int, how: str, random: str) -> dict[str, Any]:
    """A way of choosing minus random choice with labels / 60% of them, run by run; and the random labels that do as well."""
    of_random = round(labels / LESS)
    drawn, picked = average_by_seed(rows, random, of_random), average_by_seed(rows, how, labels)
    gains = [picked[seed] - drawn[seed] for seed in drawn]
    return {"how": how, "picked": labels, "labels": of_random, "difference": float(np.mean(gains)), "error": _error(gains),
            "by_run": gains, "runs_reached": sum(gain >= 0 for gain in gains), "runs": len(gains),
            "as_good": find_as_good(rows, random, float(np.mean(list(picked.values()))))}


def find_as_good(rows: Sequence[Row], random: str, accuracy: float) -> str:
    """How many random labels reach an accuracy, on straight lines between the numbers measured: 47, or <30, or >200."""
    numbers = sorted({row["labels"] for row in rows if row["how"] == random})
    curve = np.maximum.accumulate([np.mean(list(average_by_seed(rows, random, n).values())) for n in numbers])
    if not curve[0] <= accuracy <= curve[-1]:
        return f"<{numbers[0]}" if accuracy < curve[0] else f">{numbers[-1]}"
    return f"{np.interp(accuracy, curve, numbers):.0f}"


def _error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def text(found: dict[str, Any], seeds: Sequence[int]) -> str:
    """Writes the table, and the comparisons."""
    columns = sorted({int(n) for of in found["accuracy"].values() for n in of} - {0})
    lines = [f"seeds {' '.join(map(str, seeds))}: accuracy on the drifted camera, mean +- standard error over the seeds, in %",
             f"version 1: {_write(found['accuracy']['version 1']['0'])}",
             f"{'labels':>20} " + " ".join(f"{n:>11}" for n in columns)]
    for how, of in found["accuracy"].items():
        if how != "version 1":
            lines.append(f"{how:>20} " + " ".join(f"{_write(of[str(n)]) if str(n) in of else '':>11}" for n in columns))
    return "\n".join([*lines, *(_compare(aim) for aim in found["aims"])])


def _compare(aim: dict[str, Any]) -> str:
    """Writes a comparison; the interval is that of the differences run by run, from least to most."""
    return (f"{aim['how']}, {aim['picked']} labels, minus {aim['labels']} random ones: {100 * aim['difference']:+.1f} points "
            f"+- {100 * aim['error']:.1f} ({100 * min(aim['by_run']):+.1f} to {100 * max(aim['by_run']):+.1f}), reached in "
            f"{aim['runs_reached']} of {aim['runs']}; as good as {aim['as_good']} random")


def _write(figure: dict[str, float]) -> str:
    return f"{100 * figure['mean']:.1f} +- {100 * figure['error']:.1f}"
