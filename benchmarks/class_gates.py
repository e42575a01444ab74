"""How often a class gate fails a healthy class where rows were drawn with unequal probabilities.

    python -m benchmarks.class_gates [--draws 200000] [--level 0.001] [--json]

Classes of 20, 50 and 200 labels are right with exactly the bound's share, 0.8. Some rows stand for twenty times as many
predictions as the others, so that one to three heavy ones are expected, or a tenth of all. Printed is the observed error
as a multiple of the level, of the test at the linearised size alone, at Kish's alone, and at the smaller of both (what
the gate uses). Aim: the last is at most about 1, everywhere.
"""

import argparse
import json
import sys

import numpy as np

from metrics.significance.share_of_origin import p_of_share

BOUND, HEAVY = 0.8, 20.0
CASES = [(20, 1), (20, 3), (50, 3), (50, 5), (200, 3), (200, 20)]  # labels, heavy rows that are expected


def main(argv: list[str] | None = None) -> int:
    """Prints a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=200_000, help="classes a case")
    parser.add_argument("--level", type=float, default=0.001, help="p at which a class fails")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    found = [measure(labels, heavy, given.draws, given.level) for labels, heavy in CASES]
    print(json.dumps(found) if given.json else text(found))
    return 0


def measure(labels: int, heavy: int, draws: int, level: float) -> dict[str, float]:
    """Errors of the three tests as multiples of the level."""
    rng = np.random.default_rng([labels, heavy])
    weight = np.where(rng.random((draws, labels)) < heavy / labels, HEAVY, 1.0)
    right = rng.random((draws, labels)) < BOUND
    total = weight.sum(1)
    value = (weight * right).sum(1) / total
    kish = total**2 / (weight**2).sum(1)
    variance = (weight**2 * (right - value[:, None]) ** 2).sum(1) / total**2
    linear = np.where(variance > 0, value * (1 - value) / np.where(variance > 0, variance, 1), kish)
    sizes = {"linearised": linear, "kish": kish, "smaller": np.minimum(linear, kish)}
    return {"labels": labels, "heavy": heavy,
            **{name: float((p_of_share(value, size, BOUND) <= level).mean()) / level for name, size in sizes.items()}}


def text(found: list[dict[str, float]]) -> str:
    """Writes the table."""
    head = f"{'labels':>8} {'heavy':>6} {'linearised':>11} {'Kish':>8} {'smaller':>8}   errors / level"
    return "\n".join([head, *(f"{row['labels']:>8} {row['heavy']:>6} {row['linearised']:>11.1f} {row['kish']:>8.2f} "
                              f"{row['smaller']:>8.2f}" for row in found)])


if __name__ == "__main__":
    sys.exit(main())
