"""How often the threshold that is chosen for a target accuracy misses it, and what share of the answers it automates.

    python -m benchmarks.accept_targets [--runs 1000] [--json]

For models whose accuracy by confidence bin is known, labels are drawn again and again: by random audits, and by audits that ask
the most confident answers a tenth as often. Each time three rules choose a common threshold for a target from these labels:
`sequence` (metrics/automatic/targets.py: what evaluations say), `interval` (the lowest threshold whose Wilson interval lies above
the target) and `share` (the lowest whose share of right labels is the target or more). Printed is how often the truth of what it
accepts lies below the target, and the share that is automated on average, beside the largest one that the truth allows. Aim: the
first is at most 5% for the sequence, everywhere. `edge`: a model whose accepted sets all lie next below the target, the worst
case for any rule.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np

from contract.counts import BINS, WEIGHT_SCALE
from metrics.automatic.graded import Graded, Part
from metrics.automatic.targets import choose_threshold
from metrics.intervals import wilson
from metrics.selection.origin_sums import Sums

LABELS, TARGETS = (300, 1000, 4000), (0.95, 0.98, 0.99)
MODELS = ("modest", "honest", "too sure", "edge")
RULES = ("sequence", "interval", "share")
MIDDLES = (np.arange(BINS) + 0.5) / BINS


def main(argv: list[str] | None = None) -> int:
    """Prints a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=1000, help="labellings a case")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    found = [measure(model, labels, target, uneven, given.runs) for model in MODELS for labels in LABELS
             for target in TARGETS for uneven in (False, True)]
    print(json.dumps(found) if given.json else text(found))
    return 0


def make_model(name: str, target: float) -> tuple[np.ndarray, np.ndarray]:
    """(share of the predictions, accuracy) of each bin: most answers are sure, as networks' are."""
    share = MIDDLES**8
    share = share / share.sum()
    if name == "modest":  # right more often than it says
        return share, 1 - 0.3 * (1 - MIDDLES)
    if name == "honest":
        return share, MIDDLES.copy()
    if name == "too sure":
        return share, np.maximum(MIDDLES - 0.6 * (1 - MIDDLES), 0)
    return share, np.full(BINS, target - 1e-9)  # every set misses it by next to nothing


def measure(model: str, labels: int, target: float, uneven: bool, runs: int) -> dict[str, Any]:
    """How often each rule misses the target, and the mean share that it automates."""
    share, accuracy = make_model(model, target)
    rng = np.random.default_rng([len(model), labels, round(1000 * target), uneven])
    asked = np.where(np.arange(BINS) >= BINS - 2, 0.1, 1.0) if uneven else np.ones(BINS)
    truth = _sum_up(share * accuracy) / _sum_up(share)
    automated = _sum_up(share)
    of_bin = share * asked / (share * asked).sum()
    missed, means = dict.fromkeys(RULES, 0), dict.fromkeys(RULES, 0.0)
    for _ in range(runs):
        n = rng.multinomial(labels, of_bin)
        right = rng.binomial(n, accuracy)
        for rule, k in _choose(n, right, asked if uneven else None, target).items():
            if k is not None:
                missed[rule] += truth[k] < target
                means[rule] += automated[k] / runs
    best = max((automated[k] for k in range(BINS) if truth[k] >= target), default=0.0)
    return {"model": model, "labels": labels, "target": target, "uneven": uneven, "best": float(best),
            "missed": {rule: count / runs for rule, count in missed.items()},
            "automated": {rule: float(mean) for rule, mean in means.items()}}


def _choose(n: np.ndarray, right: np.ndarray, asked: np.ndarray | None, target: float) -> dict[str, int | None]:
    weights = [int(WEIGHT_SCALE / p) for p in (np.ones(BINS) if asked is None else asked)]
    parts = {k: Part(int(c), Sums(int(c), int(r), int(c), int(c) * w, int(c) * w * w, int(r) * w, int(r) * w * w))
             for k, (c, r, w) in enumerate(zip(n, right, weights, strict=True))}
    found = choose_threshold(Graded("audit", asked is not None, {"a": parts}), target, 0.95)["threshold"]
    weight = np.array(weights, float)
    total, good, squared = _sum_up(n * weight), _sum_up(right * weight), _sum_up(n * weight**2)
    seen = good / np.maximum(total, 1)
    low, _ = wilson(seen * total**2 / np.maximum(squared, 1), np.maximum(total**2 / np.maximum(squared, 1), 1e-9), 0.95)
    lowest = {rule: np.flatnonzero((total > 0) & (value >= target)) for rule, value in (("interval", low), ("share", seen))}
    return {"sequence": None if found is None else round(found * BINS),
            **{rule: int(places[0]) if len(places) else None for rule, places in lowest.items()}}


def _sum_up(values: np.ndarray) -> np.ndarray:
    """Sums over each bin and all above it."""
    return np.cumsum(values[::-1])[::-1]


def text(found: list[dict[str, Any]]) -> str:
    """Writes the table, in percent."""
    head = (f"{'model':<9}{'labels':>7}{'target':>8}{'drawn':>8} | missed: {'sequence':>9}{'interval':>9}{'share':>7}"
            f" | automated: {'sequence':>9}{'best':>6}")
    lines = [f"{row['model']:<9}{row['labels']:>7}{100 * row['target']:>7.0f}%{'uneven' if row['uneven'] else 'even':>8} |"
             + " " * 9 + "".join(f"{100 * row['missed'][rule]:>{width}.1f}" for rule, width in zip(RULES, (9, 9, 7), strict=True))
             + f" |            {100 * row['automated']['sequence']:>9.1f}{100 * row['best']:>6.1f}" for row in found]
    worst = {rule: max(row["missed"][rule] for row in found) for rule in RULES}
    return "\n".join([head, *lines, "most often missed: " + ", ".join(f"{rule} {100 * v:.1f}%" for rule, v in worst.items())])


if __name__ == "__main__":
    sys.exit(main())
