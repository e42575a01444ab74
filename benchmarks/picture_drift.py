"""How often days that are like the training pictures are called changed, and how often planted changes are found.

    nice python -m benchmarks.picture_drift [--runs 300] [--seed 1] [--json]        100 runs: 83 s of processor

Pictures are drawn as their measures: exposures of two kinds of camera, contrast that follows brightness, sizes from a short
list. An evaluation has seven days and a dataset, or no dataset; with nothing planted, one in twenty may call anything. The gate
looks at the newest day alone; its last column is the bound from which it passes 19 of 20 quiet days, below which it cannot
tell. The section's own functions judge (metrics/pictures, jobs/evidence/pictures.py counts alike).
"""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.simulation import read_options
from contract.measured.measures import MEASURES
from metrics.intervals import wilson
from metrics.pictures.compare import compare_counts, share_error

DAYS = 7
Values = dict[str, np.ndarray]
Counts = dict[str, np.ndarray]
# name -> (training pictures, pictures a day, with a dataset)
QUIET = {"5,000 training, 1,000 a day": (5000, 1000, True), "500 training, 200 a day": (500, 200, True),
         "100 training, 30 a day": (100, 30, True), "200,000 training, 20,000 a day": (200_000, 20_000, True),
         "no dataset, 200 a day": (0, 200, False)}
PLANTED: dict[str, Callable[[Values], Values]] = {
    "10% darker": lambda v: {**v, "brightness": v["brightness"] * 0.9, "contrast": v["contrast"] * 0.9},
    "20% darker": lambda v: {**v, "brightness": v["brightness"] * 0.8, "contrast": v["contrast"] * 0.8},
    "blurred, sharpness halved": lambda v: {**v, "sharpness": v["sharpness"] / 2},
    "a quarter of pictures upright": lambda v: {**v, "aspect": np.where(np.arange(len(v["aspect"])) % 4 == 0, 0.75, v["aspect"])},
    "red up by 3%": lambda v: {**v, "red": v["red"] * 1.03}}
SIZES = (50, 200, 1000)  # pictures of the day with something planted
GATE_BOUND = 0.02


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the tables."""
    given = read_options(__doc__, argv, 300)
    rng = np.random.default_rng(given.seed)
    found = {"quiet": {name: watch_quiet(*case, given.runs, rng) for name, case in QUIET.items()},
             "planted": {name: {str(n): find_planted(change, n, given.runs, rng) for n in SIZES}
                         for name, change in PLANTED.items()}}
    print(json.dumps(found) if given.json else text(found, given.runs))
    return 0


def draw(n: int, rng: np.random.Generator) -> Values:
    """Draws the measures of n pictures."""
    dark = rng.random(n) < 0.3
    brightness = np.clip(rng.normal(np.where(dark, 0.35, 0.55), 0.1), 0, 1)
    red = np.clip(rng.normal(0.345, 0.02, n), 0.05, 0.9)
    pixels = rng.choice([640 * 480, 1280 * 960, 4032 * 3024], n, p=[0.2, 0.5, 0.3])
    return {"brightness": brightness, "contrast": np.clip(0.2 * brightness + rng.normal(0.08, 0.04, n), 0, 0.5),
            "sharpness": 2.0 ** rng.normal(np.where(dark, -2, -1), 1), "red": red, "blue": np.clip(0.66 - red, 0.05, 0.9),
            "pixels": pixels.astype(float), "aspect": np.full(n, 4 / 3), "bytes": pixels * 2.0 ** rng.normal(-2, 0.4, n)}


def count(values: Values) -> Counts:
    """Counts values into the bins of their measures."""
    return {m.name: np.bincount(np.searchsorted(m.edges, values[m.name], side="right"), minlength=len(m.edges) + 1)
            for m in MEASURES}


def judge(reference: Counts, day: Counts, comparisons: int) -> list[dict[str, Any]]:
    """The distance of each measure."""
    error = share_error(comparisons)
    return [dict(compare_counts(reference[m.name].tolist(), day[m.name].tolist(), error)) for m in MEASURES]


def watch_quiet(trained: int, n: int, dataset: bool, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """How many evaluations call any measure of any day changed, how many gates fail, and the bound of the last column."""
    called = failed = 0
    reach = []
    for _ in range(runs):
        days = [count(draw(n, rng)) for _ in range(DAYS)]
        reference = count(draw(trained, rng)) if dataset else None
        first = 0 if dataset else 1
        found = [judge(reference or _add(days[:k]), day, (DAYS - first) * len(MEASURES))
                 for k, day in enumerate(days) if k >= first]
        called += any(one["changed"] for day in found for one in day)
        failed += any(one["low"] > GATE_BOUND for one in found[-1])
        reach.append(max(one["high"] for one in found[-1]))
    return {"called": called, "failed": failed, "reach": float(np.quantile(reach, 0.95)), "runs": runs}


def _add(days: Sequence[Counts]) -> Counts:
    return {m.name: sum((day[m.name] for day in days), np.zeros(len(m.edges) + 1, int)) for m in MEASURES}


def find_planted(change: Callable[[Values], Values], n: int, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """How many days with something planted are called changed, against 2,000 training pictures, as one of a week's days."""
    called = 0
    for _ in range(runs):
        reference, day = count(draw(2000, rng)), count(change(draw(n, rng)))
        called += any(one["changed"] for one in judge(reference, day, DAYS * len(MEASURES)))
    return {"called": called, "runs": runs}


def text(found: dict[str, Any], runs: int) -> str:
    """The tables for people."""
    lines = [f"{runs} evaluations each; a share is followed by its 95% interval", "",
             f"{'nothing planted':34}{'call any of 7 days':>26}{f'gate at {GATE_BOUND} fails':>26}{'passes 19 of 20 from':>22}"]
    lines += [f"{name:34}{_share(of['called'], runs):>26}{_share(of['failed'], runs):>26}{of['reach']:>22.3f}"
              for name, of in found["quiet"].items()]
    lines += ["", f"{'planted on a day, it is called':34}" + "".join(f"{f'{n} pictures':>26}" for n in SIZES)]
    lines += [f"{name:34}" + "".join(f"{_share(of[str(n)]['called'], runs):>26}" for n in SIZES)
              for name, of in found["planted"].items()]
    return "\n".join(lines)


def _share(k: int, n: int) -> str:
    low, high = wilson(k, n)
    return f"{100 * k / n:.1f}% ({100 * low:.1f} to {100 * high:.1f}%)"


if __name__ == "__main__":
    sys.exit(main())
