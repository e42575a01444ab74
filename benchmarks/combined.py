"""How well one estimate from all labels and all traffic covers the truth, how narrow it is, and how often its gate alarms.

    python -m benchmarks.combined [--runs 400] [--years 100] [--seed 1] [--json]           (--runs 4000 --years 1000: docs/log.md)

An audit is drawn again and again from logs whose truth is known: the log of the benchmark (100 classes, half of it labelled by
people who err in 7%; of three versions), and one of which feedback reports 60% of the mistakes; with equal and with unequal
probabilities; one where nothing is explained. Of each: how often the interval covers the accuracy of all predictions, its mean
width beside the audit's alone, and beside 1 - sqrt(1 - R2), which is the most that the finest strata allow. Then the same
without collapsing strata, the precision of classes, and healthy years at the gate.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import combined_years
from contract.counts import WEIGHT_SCALE
from metrics.intervals import wilson
from metrics.selection.combined import combine_audit
from metrics.selection.combined_version import collapse_and_combine, write_figure
from metrics.strata.strata import FEEDBACK, SILENT, Strata

CLASSES, BINS, LEVEL = 100, 20, 0.95
VERSIONS = (-0.02, 0.0, 0.03)  # added to the accuracy of each version
ROWS = 1_000_000
SMALLEST_CLASS = 20  # predictions that an audit finds of a class, on average, for the class to be among the rare ones


@dataclass(frozen=True)
class Log:
    """The finest strata of a log: their keys, predictions, those that are right, and the labels that are no sample."""

    predicted: np.ndarray
    bin: np.ndarray
    feedback: np.ndarray
    size: np.ndarray
    right: np.ndarray
    other: np.ndarray
    other_right: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share of predictions that is right."""
        return float(self.right.sum() / self.size.sum())

    @property
    def explained(self) -> float:
        """R2 of being right by stratum, without what small strata seem to explain by chance."""
        p, some = self.right / self.size, self.size > 1
        left = (self.size * p * (1 - p) * self.size / np.maximum(self.size - 1, 1))[some].sum() / self.size[some].sum()
        return max(float(1 - left / (self.accuracy * (1 - self.accuracy))), 0.0)

    def draw(self, p: np.ndarray | float, rng: np.random.Generator) -> Strata:
        """An audit that asks each prediction with probability p, of all or of its stratum."""
        right, wrong = rng.binomial(self.right, p), rng.binomial(self.size - self.right, p)
        n, weight = right + wrong, np.floor(WEIGHT_SCALE / p) * np.ones(len(right))
        return Strata([f"{k:03d}" for k in range(CLASSES)], self.predicted, self.bin, self.feedback, self.size, n, right,
                      n * weight, n * weight**2, right * weight, right * weight**2, self.other, self.other_right)


def make_benchmark_log(version: int, seed: int = 7, audit_errs: bool = False) -> Log:
    """One version's part of a log of a million rows, made as that of the speed benchmark is; half of it has an import's label.

    `audit_errs`: what counts as right is what an audit would say whose answers err as the imports do, in 7%.
    """
    rng = np.random.default_rng(seed)
    prior = 1 / (np.arange(CLASSES) + 3.0) ** 0.9
    prior = (prior / prior.sum())[rng.permutation(CLASSES)]
    delta = rng.uniform(-0.15, 0.12, CLASSES)
    n = int(ROWS * (0.5, 0.3, 0.2)[version])
    truth, confidence = rng.choice(CLASSES, n, p=prior), rng.beta(4.2, 1.0, n)
    right = rng.random(n) < np.clip(confidence + delta[truth] + VERSIONS[version], 0.02, 0.995)
    near, far = (truth + rng.integers(1, 6, n)) % CLASSES, (truth + rng.integers(1, CLASSES, n)) % CLASSES
    predicted = np.where(right, truth, np.where(rng.random(n) < 0.7, near, far))
    called_right, audited_right = (np.where(rng.random(n) < 0.93, right, rng.random(n) < 0.35) for _ in range(2))
    said = audited_right if audit_errs else right
    return _count(predicted, confidence, np.full(n, SILENT), said, rng.random(n) < 0.5, called_right)


def make_reported_log(accuracy: float = 0.9, reported: float = 0.6, seed: int = 7) -> Log:
    """A calibrated log of ten classes, of which feedback reports a share of the mistakes, and 5% of the right answers."""
    rng, n = np.random.default_rng(seed), 200_000
    confidence = rng.beta(accuracy / (1 - accuracy), 1, n)
    right, speaks = rng.random(n) < confidence, rng.random(n)
    says = np.where(right, np.where(speaks < 0.05, FEEDBACK.index("right"), SILENT),
                    np.where(speaks < reported, FEEDBACK.index("wrong"), SILENT))
    return _count(rng.integers(0, 10, n), confidence, says, right, np.zeros(n, bool), right)


def make_even_log(accuracy: float = 0.9, seed: int = 7) -> Log:
    """A log whose strata are all right as often: there is nothing to explain."""
    log = make_reported_log(accuracy, 0.0, seed)
    size = log.size * 100
    return Log(log.predicted, log.bin, log.feedback, size, np.rint(size * accuracy).astype(int), log.other, log.other_right)


def _count(predicted: np.ndarray, confidence: np.ndarray, says: np.ndarray, right: np.ndarray, labelled: np.ndarray,
           called_right: np.ndarray) -> Log:
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    code = (predicted * BINS + bins) * len(FEEDBACK) + says
    size, *sums = (np.bincount(code, of, CLASSES * BINS * len(FEEDBACK)).astype(int)
                   for of in (np.ones(len(code)), right, labelled, labelled & called_right))
    found = np.nonzero(size)[0]
    keys = (found // (BINS * len(FEEDBACK)), found // len(FEEDBACK) % BINS, found % len(FEEDBACK))
    return Log(*keys, size[found], *(of[found] for of in sums))


def ask_evenly(log: Log, labels: int) -> float:
    """The probability that gives so many labels."""
    return float(labels / log.size.sum())


def ask_unsure(log: Log, labels: int) -> np.ndarray:
    """Probabilities by confidence bin, those of unsure predictions larger, with a floor of a fifth of the mean."""
    appeal = 1 - (log.bin + 0.5) / BINS
    return np.clip(appeal * labels / (appeal * log.size).sum(), 0.2 * labels / log.size.sum(), 1)


Case = tuple[str, Log, int, Callable[[Log, int], Any]]


def list_cases() -> Iterator[Case]:
    """(name, log, labels on average, how they are asked)."""
    for version, labels in ((0, 1000), (0, 5000), (1, 2000), (2, 1000), (2, 5000)):
        yield f"benchmark, version {version + 1}", make_benchmark_log(version), labels, ask_evenly
    yield "benchmark, the audit errs", make_benchmark_log(0, audit_errs=True), 2000, ask_evenly
    reported = make_reported_log()
    for labels in (500, 1000, 2000):
        yield "60% reported", reported, labels, ask_evenly
    yield "60% reported, 0.97", make_reported_log(0.97), 2000, ask_evenly
    yield "90% reported", make_reported_log(0.9, 0.9), 500, ask_evenly
    yield "benchmark, unsure first", make_benchmark_log(1), 1000, ask_unsure
    yield "60% reported, unsure first", reported, 1000, ask_unsure
    for labels in (100, 300, 1000):
        yield "nothing to explain", make_even_log(), labels, ask_evenly


def simulate(name: str, log: Log, labels: int, ask: Callable[[Log, int], Any], runs: int, seed: int) -> dict[str, Any]:
    """One line of the table. Widths are means over the runs."""
    rng, p, truth = np.random.default_rng(seed), ask(log, labels), log.accuracy
    covered, width, groups = np.zeros(3), np.zeros(3), 0
    for _ in range(runs):
        strata = log.draw(p, rng)
        merged, combined = collapse_and_combine(strata)
        alone = combine_audit(strata.merge(np.zeros(len(strata), int)))
        told = strata.where(strata.n > 0)
        figures: tuple[Any, ...] = (write_figure(combined, combined.variance, LEVEL),
                                    write_figure(alone, alone.audit_variance, LEVEL), _estimate_uncollapsed(told))
        for i, found in enumerate(figures):
            covered[i] += found["low"] <= truth <= found["high"]
            width[i] += found["high"] - found["low"]
        groups += len(merged)
    limit = 1 - np.sqrt(1 - log.explained)
    gain = 1 - width[0] / width[1]
    return {"log": name, "labels": labels, "strata": groups / runs, "accuracy": truth, "r2": log.explained,
            "covers": covered[0] / runs, "audit_covers": covered[1] / runs, "uncollapsed_covers": covered[2] / runs,
            "width": width[0] / width[1], "gain": gain, "limit": float(limit), "of_limit": gain / limit if limit > 0.01 else None}


def _estimate_uncollapsed(told: Strata) -> Any:
    """The plug-in interval over the finest strata that have a label."""
    part, p = told.size / told.size.sum(), told.weight_right / told.weight
    value, variance = (part * p).sum(), (part**2 * p * (1 - p) / told.n).sum()
    size = value * (1 - value) / variance if variance > 0 else 1e12
    low, high = wilson(value * size, size, LEVEL)
    return {"low": float(low), "high": float(high)}


def simulate_classes(log: Log, labels: int, runs: int, seed: int) -> dict[str, Any]:
    """Coverage of the precision of classes, on average over classes: of all that an audit sees, and of rare ones."""
    rng, p = np.random.default_rng(seed), ask_evenly(log, labels)
    names = np.unique(log.predicted)
    truth = np.array([log.right[log.predicted == k].sum() / log.size[log.predicted == k].sum() for k in names])
    expected = np.array([log.size[log.predicted == k].sum() for k in names]) * p
    seen, covered, width, alone_width = (np.zeros(len(names)) for _ in range(4))
    for _ in range(runs):
        strata = log.draw(p, rng)
        for i, k in enumerate(names):
            mine = strata.where(strata.predicted == k)
            if not mine.n.sum():
                continue
            _, combined = collapse_and_combine(mine)
            found = write_figure(combined, combined.variance, LEVEL)
            low, high = wilson(mine.right.sum(), mine.n.sum(), LEVEL)
            seen[i] += 1
            covered[i] += (found["low"] or 0) <= truth[i] <= (found["high"] or 0)
            width[i] += (found["high"] or 0) - (found["low"] or 0)
            alone_width[i] += high - low
    rare = expected < SMALLEST_CLASS
    return {"labels": labels, "classes": len(names), "rare": int(rare.sum()), "covers": _average(covered, seen, seen > 0),
            "rare_cover": _average(covered, seen, rare & (seen > 0)), "width": float(width.sum() / alone_width.sum())}


def _average(covered: np.ndarray, seen: np.ndarray, which: np.ndarray) -> float | None:
    return float((covered[which] / seen[which]).mean()) if which.any() else None


def main(argv: list[str] | None = None) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("runs", 400), ("years", 100), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    rows = [simulate(*case, given.runs, given.seed) for case in list_cases()]
    classes = [simulate_classes(make_benchmark_log(1), n, max(given.runs // 10, 10), given.seed) for n in (1000, 10_000)]
    years = [combined_years.row(name, given.years, given.seed) for name in combined_years.SCENARIOS] if given.years else []
    if given.json:
        print(json.dumps({"overall": rows, "classes": classes, "years": years}))
        return 0
    print(write_table(rows, given.runs), *map(write_classes, classes), sep="\n")
    if years:
        print("\n" + combined_years.text(years, given.years))
    return 0


def write_table(rows: list[dict[str, Any]], runs: int) -> str:
    """The lines as an aligned table."""
    lines = [f"{runs} audits of each log; widths are means, beside the audit alone", "",
             f"{'log':<28}{'labels':>7}{'strata':>7}{'R2':>7}{'covers':>8}{'audit':>8}{'finest':>8}{'width':>8}{'gain':>7}"
             f"{'most':>7}{'share':>7}"]
    lines += [f"{r['log']:<28}{r['labels']:>7}{r['strata']:>7.1f}{r['r2']:>7.2f}{r['covers']:>8.1%}{r['audit_covers']:>8.1%}"
              f"{r['uncollapsed_covers']:>8.1%}{r['width']:>8.3f}{r['gain']:>7.1%}{r['limit']:>7.1%}"
              f"{'' if r['of_limit'] is None else format(r['of_limit'], '.2f'):>7}" for r in rows]
    return "\n".join(lines)


def write_classes(found: dict[str, Any]) -> str:
    """One sentence on the precision of classes."""
    rare = "" if found["rare_cover"] is None else f", of the {found['rare']} with fewer than 20 in {found['rare_cover']:.1%}"
    return (f"precision of {found['classes']} classes, {found['labels']} labels: covered in {found['covers']:.1%} on average "
            f"over classes{rare}; mean width {found['width']:.3f} of the audit alone")


if __name__ == "__main__":
    sys.exit(main())
