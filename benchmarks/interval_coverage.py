"""How often the intervals of averages, of agreement and of calibration cover the truth.

    python -m benchmarks.interval_coverage [--runs 2000] [--seed 1] [--json]

Confusions are drawn from known ones and the averages' 95% intervals are asked for the truth: even and rare classes, good
and nearly perfect ones. Alpha is asked of days of items that two to four people label.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np

from metrics.averages import averages, statistics
from metrics.per_class import Confusion

# name -> (rows, share of each class, accuracy of each class)
CASES: dict[str, tuple[int, np.ndarray, np.ndarray]] = {
    "10 even classes at 0.999": (1000, np.full(10, 0.1), np.full(10, 0.999)),
    "10 even classes at 0.95": (1000, np.full(10, 0.1), np.full(10, 0.95)),
    "10 even classes at 0.7": (300, np.full(10, 0.1), np.full(10, 0.7)),
    "20 skewed classes at 0.999": (4000, 0.8 ** np.arange(20), np.full(20, 0.999)),
    "20 skewed classes at 0.99": (4000, 0.8 ** np.arange(20), np.full(20, 0.99)),
    "20 skewed classes at 0.9": (4000, 0.8 ** np.arange(20), np.full(20, 0.9)),
    "20 skewed, rare ones at 0.6": (4000, 0.8 ** np.arange(20), np.linspace(0.98, 0.6, 20)),
    "100 even classes at 0.97": (1000, np.full(100, 0.01), np.full(100, 0.97)),
}


def main(argv: list[str] | None = None) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    rows = [row(name, given.runs, given.seed) for name in CASES]
    print(json.dumps(rows) if given.json else text(rows, given.runs))
    return 0


def confusion_of(share: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """The truth of a case: mistakes go to other classes as often as these occur."""
    share = share / share.sum()
    others = np.tile(share, (len(share), 1)) * (1 - np.eye(len(share)))
    return share[:, None] * (np.diag(accuracy) + (1 - accuracy)[:, None] * others / others.sum(1, keepdims=True))


def row(name: str, runs: int, seed: int = 1) -> dict[str, Any]:
    """One line: the share of runs in which each average's interval covers what it is an average of."""
    n, share, accuracy = CASES[name]
    truth, rng = confusion_of(share, accuracy), np.random.default_rng(seed)
    expected = statistics(np.diag(truth) * 1e9, truth.sum(1) * 1e9, truth.sum(0) * 1e9)
    covered, names = np.zeros(7), [str(i) for i in range(len(truth))]
    zero_width = 0
    for counts in rng.multinomial(n, truth.ravel(), runs).reshape(runs, *truth.shape):
        label, predicted = np.nonzero(counts)
        found = averages(Confusion(names, label, predicted, counts[label, predicted]), 0.95)
        shown = [found["balanced_accuracy"], *(found[kind][s] for kind in ("macro", "weighted")
                                               for s in ("precision", "recall", "f1"))]
        covered += [figure["low"] <= value <= figure["high"] for figure, value in zip(shown, expected, strict=True)]
        zero_width += any(figure["low"] == figure["high"] for figure in shown)
    return {"case": name, "rows": n, "covered": dict(zip(("balanced", "macro p", "macro r", "macro f1", "weighted p",
                                                         "weighted r", "weighted f1"), (covered / runs).tolist(), strict=True)),
            "zero_width": zero_width / runs}


def text(rows: list[dict[str, Any]], runs: int) -> str:
    """The lines as an aligned table."""
    names = list(rows[0]["covered"])
    lines = [f"share of {runs} runs in which the 95% interval covers the truth", "",
             f"{'case':<30}{'rows':>6}" + "".join(f"{name:>13}" for name in names)]
    lines += [f"{found['case']:<30}{found['rows']:>6}" + "".join(f"{found['covered'][name]:>13.1%}" for name in names)
              for found in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
