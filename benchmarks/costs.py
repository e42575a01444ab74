"""Whether the interval of what mistakes cost covers the truth.

    python -m benchmarks.costs [--runs 400] [--seed 1] [--json]        4,000 for the log

Made logs whose mistakes have known probabilities and costs: alike, of several sizes, rare and a hundred times as dear, and
possible but never seen. Plain samples, and weighted ones that ask mistakes six times as often, or a third as often, as what
is right. Beside it the normal interval of a mean, as a warning.
"""

import json
import sys
from typing import Any, NamedTuple

import numpy as np

from benchmarks.simulation import read_options
from metrics.cells import Cells
from metrics.costs.describe import Priced
from metrics.costs.expected import PER
from metrics.costs.table import Costs
from metrics.intervals import z_of

LEVEL, SIZES = 0.95, (200, 1000, 5000)


class World(NamedTuple):
    """`rates`: how often class 0 is taken for 1, 2, …; `costs`: of these. `asked`: probability of being asked, of right rows
    and of mistakes; None: a plain sample."""

    name: str
    rates: tuple[float, ...]
    costs: tuple[float, ...]
    asked: tuple[float, float] | None = None


WORLDS = (World("one cost", (0.1,), (1,)), World("1, 2, 5", (0.05, 0.03, 0.02), (1, 2, 5)),
          World("1, 10, 100", (0.1, 0.04, 0.01), (1, 10, 100)), World("rarely 100", (0.1, 0.002), (1, 100)),
          World("never 100", (0.1, 0.0), (1, 100)), World("ten sizes", (0.02,) * 10, (1, 2, 3, 5, 8, 10, 20, 30, 50, 100)),
          World("mistakes first", (0.08, 0.02), (1, 10), (0.1, 0.6)), World("mistakes last", (0.08, 0.02), (1, 10), (0.3, 0.1)))


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    given = read_options(__doc__, argv, 400)
    rows = [simulate(world, n, given.runs, given.seed) for world in WORLDS for n in SIZES]
    print(json.dumps(rows) if given.json else text(rows, given.runs))
    return 0


def simulate(world: World, n: int, runs: int, seed: int = 1) -> dict[str, Any]:
    """Shares of runs whose interval covers, lies above and lies below the truth; and of the normal one that covers."""
    rng = np.random.default_rng(seed)
    truth = PER * float(np.dot(world.rates, world.costs))
    found = [estimate(world, n, rng) for _ in range(runs)]
    return {"world": world.name, "n": n, "runs": runs, "truth": truth,
            "covers": float(np.mean([f["low"] <= truth <= f["high"] for f, _ in found])),
            "above": float(np.mean([f["low"] > truth for f, _ in found])),
            "below": float(np.mean([f["high"] < truth for f, _ in found])),
            "width": float(np.mean([f["high"] - f["low"] for f, _ in found])) / truth,
            "normal": float(np.mean([abs(f["value"] - truth) <= half for f, half in found]))}


def estimate(world: World, n: int, rng: np.random.Generator) -> tuple[Any, float]:
    """The figure of about n labelled rows, and half of the normal interval."""
    chance = np.array([1 - sum(world.rates), *world.rates])
    cost = np.array([0.0, *world.costs])
    asked = np.array([1.0, *[1.0] * len(world.rates)]) if world.asked is None else np.array(
        [world.asked[0], *[world.asked[1]] * len(world.rates)])
    drawn = rng.multinomial(round(n / float(chance @ asked)), chance)
    count = rng.binomial(drawn, asked)
    weight = count / asked
    cells = make_cells(count, weight, weight / asked)
    classes = [f"c{i}" for i in range(len(chance))]
    costs = Costs({"c0": {f"c{i}": float(c) for i, c in enumerate(cost) if i}}, default=0.0)
    figure = Priced(cells, "audit", costs, classes, LEVEL, weighted=world.asked is not None).expect()
    mean = float(weight @ cost / weight.sum())
    variance = float((weight / asked) @ (cost - mean) ** 2 / weight.sum() ** 2)
    return figure, PER * z_of(LEVEL) * variance**0.5


def make_cells(count: np.ndarray, weight: np.ndarray, squared: np.ndarray) -> Cells:
    """Cells of class c0 taken for c0, c1, …, of origin audit."""
    kinds = len(count)
    zero, some = np.zeros(kinds, np.int64), count > 0
    names = [f"c{i}" for i in range(kinds)]
    cells = Cells(names, np.arange(kinds), zero, zero, zero, zero, zero.astype(bool), count, zero, count, weight, squared, weight)
    return cells.where(some)


def text(rows: list[dict[str, Any]], runs: int) -> str:
    """The rows as an aligned table."""
    lines = [f"{runs} made logs each; intervals of {LEVEL:.0%} of the cost per 1,000 predictions, in % of runs", "",
             f"{'costs':<18}{'rows':>6}{'truth':>8}{'covers':>8}{'too high':>10}{'too low':>9}{'width/cost':>12}"
             f"{'normal covers':>15}"]
    lines += [f"{r['world']:<18}{r['n']:>6}{r['truth']:>8.0f}{r['covers']:>8.1%}{r['above']:>10.1%}{r['below']:>9.1%}"
              f"{r['width']:>12.2f}{r['normal']:>15.1%}" for r in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
