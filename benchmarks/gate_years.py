"""How often the retraining gate calls a healthy model bad in a year, and how soon it sees a drop.

    python -m benchmarks.gate_years [--years 2000] [--labels 200] [--bound 0.9] [--json]

Simulated day by day with the gate's own rule: a model exactly at its bound for a year (the worst healthy case), then
drops of 5 and 10 points on a day in the middle of a window. The fixed 95% interval stands beside it, as a warning. Then
the same for audits that ask with unequal probabilities (benchmarks/uneven_years.py).
"""

import argparse
import json
import sys
from typing import Any

import numpy as np

from benchmarks import uneven_years
from metrics.intervals import wilson
from metrics.significance.exact_tests import p_at_least

WINDOWS = ((7,), (28,), (7, 28))
DROPS = ((0.93, 0.88), (0.91, 0.86), (0.95, 0.85))
MOST_DAYS = 400


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("years", 2000), ("labels", 200), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--bound", type=float, default=0.9)
    parser.add_argument("--alarms", type=float, default=0.05, help="false alarms per year that the policy allows")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    rows = [row(windows, given.years, given.labels, given.bound, given.alarms, given.seed) for windows in WINDOWS]
    uneven = [uneven_years.row(name, given.years, given.bound, given.alarms, given.seed) for name in uneven_years.SCENARIOS]
    print(json.dumps([*rows, *uneven]) if given.json else f"{text(rows, given)}\n\n{uneven_years.text(uneven)}")
    return 0


def row(windows: tuple[int, ...], years: int, labels: int, bound: float, alarms: float, seed: int = 1) -> dict[str, Any]:
    """One line: windows in days, the level of one look, the shares of healthy years with an alarm, days until a drop."""
    rng, level = np.random.default_rng(seed), alarms / 365 / len(windows)
    healthy = rng.binomial(labels, bound, (years, 365 + max(windows)))
    found = {"windows": windows, "level": level,
             "healthy_years_that_fail": float(fails(healthy, windows, labels, bound, level)[:, max(windows):].any(1).mean()),
             "with_fixed_95_intervals": float(by_interval(healthy, windows, labels, bound)[:, max(windows):].any(1).mean())}
    for before, after in DROPS:
        shares = np.where(np.arange(max(windows) + MOST_DAYS) < max(windows), before, after)
        seen = fails(rng.binomial(labels, shares, (years, len(shares))), windows, labels, bound, level)[:, max(windows):]
        days = np.where(seen.any(1), seen.argmax(1) + 1, MOST_DAYS)
        found[f"days_until_{before}_to_{after}"] = int(np.median(days))
        found[f"days_until_{before}_to_{after}_90%"] = int(np.quantile(days, 0.9))
    return found


def fails(right: Any, windows: tuple[int, ...], labels: int, bound: float, level: float) -> Any:
    """Which days the gate fails on: `right` of `labels` a day, shape (years, days); the same shape of bools."""
    return _any(right, windows, labels, lambda sums, n: p_at_least(np.arange(n + 1), n, bound)[sums] <= level)


def by_interval(right: Any, windows: tuple[int, ...], labels: int, bound: float) -> Any:
    """The same with plain 95% intervals: fail when the upper end is below the bound."""
    return _any(right, windows, labels, lambda sums, n: wilson(np.arange(n + 1), n)[1][sums] < bound)


def _any(right: Any, windows: tuple[int, ...], labels: int, judge: Any) -> Any:
    total = np.concatenate([np.zeros((len(right), 1), int), right.cumsum(1)], axis=1)
    found = np.zeros(right.shape, bool)
    for days in windows:
        found[:, days - 1:] |= judge(total[:, days:] - total[:, :-days], days * labels)
    return found


def text(rows: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """The lines as an aligned table."""
    lines = [f"{given.years} simulated healthy years at the bound {given.bound:g}, {given.labels} labels a day, "
             f"{given.alarms:g} false alarms a year allowed", "",
             f"{'window':<14}{'level':>10}{'years failed':>14}{'fixed 95%':>11}   days until a drop is seen, median (90%)"]
    for found in rows:
        drops = "   ".join(f"{a:g} to {b:g}: {_days(found[f'days_until_{a}_to_{b}'])} "
                           f"({_days(found[f'days_until_{a}_to_{b}_90%'])})" for a, b in DROPS)
        name = " and ".join(map(str, found["windows"])) + " days"
        lines.append(f"{name:<14}{found['level']:>10.2g}{found['healthy_years_that_fail']:>14.1%}"
                     f"{found['with_fixed_95_intervals']:>11.1%}   {drops}")
    return "\n".join(lines)


def _days(days: int) -> str:
    return f"over {MOST_DAYS}" if days >= MOST_DAYS else str(days)


if __name__ == "__main__":
    sys.exit(main())
