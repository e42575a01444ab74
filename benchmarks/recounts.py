"""What recounting without each person costs and finds: honest drops are not delayed, a poisoner is named.

    python -m benchmarks.recounts [--runs 400] [--labels 200] [--seed 1] [--json]      (4,000 runs: about two minutes)

Day by day with the gate's own tests (windows of 7 and 28 days, 0.05 false alarms a year): a model falls from 0.93 to 0.88 and
everybody labels honestly; then one that stays at 0.93, while one labeler calls all that they see wrong; then a healthy model
whose passes are recounted. A fail is fragile when without somebody p is above 0.05; beside it stands the rule that would ask
for the level of the year again. A pass is fragile when without somebody the share lies below the bound.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np

from metrics.figure import ratio
from metrics.intervals import wilson
from metrics.significance.exact_tests import divide_level, p_at_least
from pipeline.gates.fragile import FRAGILE_P

BOUND, WINDOWS, LEVEL = 0.9, (7, 28), divide_level(divide_level(0.05, 365), 2)
MOST_DAYS, LEAST = 200, 50
# The share of the labels that each person gives.
CROWDS = {"3 alike": [1 / 3] * 3, "10 alike": [0.1] * 10, "20 alike": [0.05] * 20, "one gives half": [0.5, *[0.1] * 5],
          "one gives nine tenths": [0.9, *[0.05] * 2]}


def main(argv: list[str] | None = None) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("runs", 400), ("labels", 200), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    found = {"honest": [fall(name, shares, given) for name, shares in CROWDS.items()],
             "poisoned": [poison(share, given) for share in (0.05, 0.1, 0.15, 0.3)],
             "healthy": [hold(name, shares, given) for name, shares in CROWDS.items()]}
    print(json.dumps(found) if given.json else text(found, given))
    return 0


def fall(name: str, shares: list[float], given: argparse.Namespace) -> dict[str, Any]:
    """An honest drop from 0.93 to 0.88 after 28 days: the days until it is seen, with and without the recount."""
    accuracy = np.where(np.arange(28 + MOST_DAYS) < 28, 0.93, 0.88)
    right, sizes = draw(shares, [accuracy] * len(shares), given)
    alarm, firm, firm_by_year = judge(right, sizes)
    first = alarm.argmax(1)
    at_first = ~firm[np.arange(len(first)), first]
    by_year = ~firm_by_year[np.arange(len(first)), first]
    return {"crowd": name, "days": days_until(alarm), "days_recounted": days_until(firm),
            "first_alarms_fragile": float(at_first.mean()), "first_alarms_fragile_by_year": float(by_year.mean()),
            "delayed": float((firm.argmax(1) > first).mean())}


def poison(share: float, given: argparse.Namespace) -> dict[str, Any]:
    """A model at 0.93 for 100 days, of which somebody calls all that they see wrong for the last 72."""
    honest, bad = np.full(100, 0.93), np.where(np.arange(100) < 28, 0.93, 0.0)
    others = [(1 - share) * 0.1] * 10
    right, sizes = draw([share, *others], [bad, *[honest] * 10], given)
    alarm, firm, _ = judge(right, sizes)
    named = alarm.any(1) & (without_each(right, sizes)[:, 0] > FRAGILE_P).any((1, 2))
    seen = {"fails": alarm.any(1), "named": named, "published": firm.any(1)}
    return {"share": share, **{name: float(of.mean()) for name, of in seen.items()}}


def hold(name: str, shares: list[float], given: argparse.Namespace) -> dict[str, Any]:
    """A healthy model at 0.93 over one window of 28 days: how many of its passes are called fragile."""
    right, sizes = draw(shares, [np.full(28, 0.93)] * len(shares), given)
    total, n = right.sum((1, 2)), int(sizes.sum()) * 28
    passes = wilson(total, n)[0] >= BOUND
    flips = np.zeros(len(total), bool)
    for k, size in enumerate(sizes):
        left, rest = n - size * 28, total - right[:, k].sum(1)
        if left >= LEAST:
            flips |= rest < BOUND * left
    return {"crowd": name, "passes": float(passes.mean()), "fragile": float(ratio((passes & flips).sum(), passes.sum()))}


def draw(shares: list[float], accuracy: list[Any], given: argparse.Namespace) -> tuple[Any, Any]:
    """(right answers, shape (runs, people, days); labels of each person a day)."""
    rng, sizes = np.random.default_rng(given.seed), np.round(np.array(shares) * given.labels).astype(int)
    return np.stack([rng.binomial(n, of, (given.runs, len(of))) for n, of in zip(sizes, accuracy, strict=True)], 1), sizes


def without_each(right: Any, sizes: Any) -> Any:
    """p without each person over each window that ends with each day from the 28th on, 0 where too few labels are left;
    shape (runs, people, windows, days)."""
    sums, found = slide(right), []
    for k in range(len(sizes)):
        rest, left = sums.sum(1) - sums[:, k], int(sizes.sum() - sizes[k])
        found.append(np.stack([look_up(rest[:, w], left * days, BOUND) if left * days >= LEAST else np.zeros(rest[:, w].shape)
                               for w, days in enumerate(WINDOWS)], 1))
    return np.stack(found, 1)


def judge(right: Any, sizes: Any) -> tuple[Any, Any, Any]:
    """Whether a window fails on each day, whether one does that is not fragile, and the same by the level of the year."""
    sums = slide(right).sum(1)
    fails = np.stack([look_up(sums[:, w], int(sizes.sum()) * days, BOUND) <= LEVEL for w, days in enumerate(WINDOWS)], 1)
    without = without_each(right, sizes).max(1)
    return fails.any(1), (fails & (without <= FRAGILE_P)).any(1), (fails & (without <= LEVEL)).any(1)


def slide(right: Any) -> Any:
    """Sums over each window, of windows that end with each day from the 28th on: (runs, people, windows, days)."""
    total = np.concatenate([np.zeros((*right.shape[:2], 1), int), right.cumsum(2)], 2)
    ends = np.arange(max(WINDOWS), right.shape[2] + 1)
    return np.stack([total[:, :, ends] - total[:, :, ends - days] for days in WINDOWS], 2)


def look_up(right: Any, n: int, bound: float) -> Any:
    """The gate's p of so many right of n."""
    return p_at_least(np.arange(n + 1), n, bound)[right]


def days_until(seen: Any) -> dict[str, int]:
    """Median and 90% of the days from the drop until it is seen; day 28 is the first of them."""
    days = np.where(seen.any(1), seen.argmax(1), MOST_DAYS)
    return {"median": int(np.median(days)), "90%": int(np.quantile(days, 0.9))}


def text(found: dict[str, Any], given: argparse.Namespace) -> str:
    """The tables."""
    lines = [f"{given.runs} runs, {given.labels} labels a day, bound {BOUND:g}, windows of 7 and 28 days", "",
             "An honest drop from 0.93 to 0.88: days until it is seen, median (90%)",
             f"{'labelers':<24}{'alone':>12}{'recounted':>12}{'first alarms fragile':>22}{'by the yearly level':>21}"]
    lines += [f"{r['crowd']:<24}{_days(r['days']):>12}{_days(r['days_recounted']):>12}{r['first_alarms_fragile']:>22.1%}"
              f"{r['first_alarms_fragile_by_year']:>21.1%}" for r in found["honest"]]
    lines += ["", "A healthy model, and one labeler who calls everything wrong",
              f"{'share of the labels':<24}{'gate fails':>12}{'named':>12}{'counts as a fail on some day':>30}"]
    lines += [f"{r['share']:<24.0%}{r['fails']:>12.1%}{r['named']:>12.1%}{r['published']:>30.1%}" for r in found["poisoned"]]
    lines += ["", "A healthy model at 0.93, 28 days", f"{'labelers':<24}{'passes':>12}{'of them fragile':>18}"]
    lines += [f"{r['crowd']:<24}{r['passes']:>12.1%}{r['fragile']:>18.2%}" for r in found["healthy"]]
    return "\n".join(lines)


def _days(row: dict[str, int]) -> str:
    return f"{row['median']} ({row['90%']})"


if __name__ == "__main__":
    sys.exit(main())
