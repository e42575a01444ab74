"""How often the intervals of averages, of agreement, of the calibration error and of drift cover the truth.

    python -m benchmarks.interval_coverage [--runs 2000] [--seed 1] [--json]

Confusions are drawn from known ones and the averages' 95% intervals are asked for the truth: even and rare classes, good
and nearly perfect ones. Alpha is asked of 14 days of items that two to four people label, the calibration error of three
bins, the divergence of five predicted classes.
"""

import json
import sys
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.simulation import read_options
from contract.counts import CONFIDENCE_SCALE, TABLES, canonical
from metrics.agreement import alpha
from metrics.averages import averages, statistics
from metrics.calibration import calibration
from metrics.cells import Cells
from metrics.drift import compare, jensen_shannon
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
    given = read_options(__doc__, argv, 2000)
    rows, rng = [row(name, given.runs, given.seed) for name in CASES], np.random.default_rng(given.seed)
    others = {f"alpha, labelers err in {error:.1%}": cover_alpha(error, given.runs // 5, rng) for error in (0.3, 0.05, 0.002)}
    others |= {f"calibration error, {n} rows a bin": cover_calibration(n, given.runs // 5, rng) for n in (20, 100, 1000)}
    others |= {f"drift, {n} predictions": cover_drift(n, given.runs // 5, rng) for n in (100, 1000, 10_000)}
    print(json.dumps([*rows, others]) if given.json else text(rows, given.runs))
    if not given.json:
        print("\n" + "\n".join(f"{name:<36}{share:>8.1%}" for name, share in others.items()))
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


def label_day(error: float, rng: np.random.Generator, items: int = 40) -> pa.Table:
    """The coincidences of a day's items of three labels, whose two to four labelers err more on some days."""
    often = error * rng.uniform(0.5, 1.5)
    truth, votes = rng.choice(3, items, p=[0.6, 0.3, 0.1]), rng.integers(2, 5, items)
    said = np.where(rng.random((items, 4)) < often, rng.integers(0, 3, (items, 4)), truth[:, None])
    rows = []
    for m in (2, 3, 4):
        of = np.stack([(said[votes == m][:, :m] == k).sum(1) for k in range(3)], 1)
        pairs = of.T @ of - np.diag(of.sum(0))
        rows += [{"label": "abc"[a], "other_label": "abc"[b], "votes": m, "n": int(pairs[a, b])}
                 for a in range(3) for b in range(3) if pairs[a, b]]
    return canonical("coincidences", pa.Table.from_pylist(rows, TABLES["coincidences"].arrow()))


def add_days(days: list[pa.Table]) -> pa.Table:
    """The coincidences of all days together."""
    return canonical("coincidences", pa.concat_tables(days))


def cover_alpha(error: float, runs: int, rng: np.random.Generator) -> float:
    """Share of runs in which alpha's interval holds what alpha comes to over 2,000 days."""
    truth, covered = alpha(add_days([label_day(error, rng) for _ in range(2000)]))["value"], 0
    for _ in range(runs):
        days = [label_day(error, rng) for _ in range(14)]
        found = alpha(add_days(days), days)
        covered += found["low"] <= truth <= found["high"]
    return covered / runs


def cover_calibration(n: int, runs: int, rng: np.random.Generator) -> float:
    """Share of runs in which the calibration error's interval holds that of the true shares, of n rows in each bin."""
    said, true, covered = np.array([0.525, 0.725, 0.925]), np.array([0.45, 0.75, 0.85]), 0
    for _ in range(runs):
        right = rng.binomial(n, true)
        cells = [(right, np.zeros(3, int)), (n - right, np.ones(3, int))]
        count = np.concatenate([c for c, _ in cells])
        made = Cells(["a", "b"], np.zeros(6, int), np.concatenate([x for _, x in cells]), np.tile([10, 14, 18], 2),
                     np.zeros(6, int), np.zeros(6, int), np.zeros(6, bool), count,
                     np.floor(np.tile(said, 2) * CONFIDENCE_SCALE).astype(np.int64) * count, np.zeros(6, int), np.zeros(6),
                     np.zeros(6))
        found = calibration(made, 0.95)
        covered += found["low"] <= np.abs(said - true).mean() <= found["high"]
    return covered / runs


def cover_drift(n: int, runs: int, rng: np.random.Generator) -> float:
    """Share of runs in which the interval of the divergence holds the true one, of n predictions on either side."""
    p, q = np.array([0.4, 0.3, 0.2, 0.09, 0.01]), np.array([0.35, 0.25, 0.25, 0.1, 0.05])
    truth, covered = float(jensen_shannon(p, q)), 0
    for _ in range(runs):
        found = compare(rng.multinomial(n, p), rng.multinomial(n, q))
        covered += found["js_low"] <= truth <= found["js_high"]
    return covered / runs


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
