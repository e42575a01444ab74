"""How often the retraining gate calls a healthy model bad in a year when it judges the combined estimate.

Part of `python -m benchmarks.combined`. A model is exactly at its bound for a year, audited every day, judged every day over
a window of 7 days by the strata of that window as they collapse that day. Beside the gate's own rule stands one that it
does not use: the same with the variance that the interval is made of.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.selection.combined import combine_strata
from metrics.significance.share_of_origin import p_of_share
from metrics.strata.collapse import cut_line
from metrics.strata.strata import SILENT, WRONG

BOUND, ALARMS, DAYS, WINDOW = 0.9, 0.05, 365, 7


@dataclass(frozen=True)
class Scenario:
    """Strata in a line, by share of traffic and how often they are right, what feedback says, and audit labels a day."""

    part: np.ndarray
    right: np.ndarray
    feedback: np.ndarray
    labels: int


def plan_reported(labels: int, reported: float = 0.6) -> Scenario:
    """Feedback reports a share of the mistakes; the others are spread over ten bins of confidence."""
    wrong = (1 - BOUND) * reported
    of_rest = np.linspace(0.94, 0.999, 10) if reported else np.linspace(0.8, 0.999, 10)
    of_rest += BOUND / (1 - wrong) - of_rest.mean()
    return Scenario(np.array([wrong, *[(1 - wrong) / 10] * 10]), np.array([0, *np.minimum(of_rest, 1)]),
                    np.array([WRONG, *[SILENT] * 10]), labels)


def plan_calibrated(labels: int) -> Scenario:
    """A sharp log: most mistakes are where the model is unsure, and the sure ones are nearly always right."""
    right = np.array([0.3, 0.6, 0.85, 0.95, 0.99, 0.995, 0.999, 0.9995, 1, 1])
    part = np.array([0.0, 1, 1, 3, 3, 3, 3, 3, 3, 3])
    part[0] = ((part * right).sum() - BOUND * part.sum()) / (BOUND - right[0])
    return Scenario(part / part.sum(), right, np.full(10, SILENT), labels)


def plan_even(labels: int) -> Scenario:
    """Nothing to explain."""
    return Scenario(np.full(10, 0.1), np.full(10, BOUND), np.full(10, SILENT), labels)


SCENARIOS = {"60% reported, 50 labels a day": plan_reported(50), "60% reported, 200 a day": plan_reported(200),
             "sharp, 50 a day": plan_calibrated(50), "sharp, 200 a day": plan_calibrated(200),
             "nothing to explain, 50 a day": plan_even(50), "nothing to explain, 200 a day": plan_even(200)}


def row(name: str, years: int, seed: int = 1) -> dict[str, Any]:
    """One line: the shares of healthy years in which each rule ever fails, and the mean of the sizes that they test at."""
    scenario, rng, level = SCENARIOS[name], np.random.default_rng(seed), ALARMS / DAYS
    failed, sizes = np.zeros(3), np.zeros(3)
    for _ in range(years):
        value, share, size, plug_in, labels = judge_year(scenario, rng)
        tests = ((value, size), (value, plug_in), (share, labels))
        failed += [(p_of_share(seen, on, BOUND) <= level).any() for seen, on in tests]
        sizes += [on.mean() for _, on in tests]
    return {"scenario": name, "level": level, "size": sizes[0] / years, "plug_in_size": sizes[1] / years,
            "labels": sizes[2] / years, "healthy_years_that_fail": failed[0] / years, "on_plug_in": failed[1] / years,
            "audit_alone": failed[2] / years}


def judge_year(scenario: Scenario, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """(value, the audit's share, the gate's size, the interval's, the number of labels) of each of 365 windows.

    The line of strata is the same on all days, because no audit label decides it; groups are cut anew on each.
    """
    drawn = rng.poisson(scenario.labels * scenario.part, (DAYS + WINDOW - 1, len(scenario.part)))
    both = np.stack([drawn, rng.binomial(drawn, scenario.right)], axis=1)
    n, right = np.lib.stride_tricks.sliding_window_view(both, WINDOW, axis=0).sum(-1).transpose(1, 0, 2)
    groups = np.array([cut_line(of_window, scenario.feedback) for of_window in n])
    found = np.empty((5, DAYS))
    for count in np.unique(groups[:, -1]):  # windows with so many groups, together
        mine = groups[:, -1] == count
        sums = [_add_up(values, groups[mine], count + 1) for values in (np.broadcast_to(scenario.part, n.shape)[mine], n[mine],
                                                                        right[mine])]
        size, labels, rights = sums
        combined = combine_strata(size, labels, (labels, labels, rights, rights))
        found[:, mine] = (combined.value, rights.sum(-1) / labels.sum(-1), combined.count_rows(combined.cautious),
                          combined.count_rows(combined.variance), labels.sum(-1))
    return tuple(found)


def _add_up(values: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Sums by group, of shape (windows, count)."""
    flat = groups + np.arange(len(groups))[:, None] * count
    return np.bincount(flat.ravel(), values.ravel(), len(groups) * count).reshape(len(groups), count)


def text(rows: list[dict[str, Any]], years: int) -> str:
    """The lines as an aligned table."""
    lines = [f"{years} healthy years at the bound {BOUND:g}, windows of {WINDOW} days, {ALARMS:g} alarms a year allowed", "",
             f"{'scenario':<32}{'labels':>8}{'size':>8}{'plug-in':>9}{'years failed':>14}{'plug-in':>9}{'audit':>8}"]
    lines += [f"{r['scenario']:<32}{r['labels']:>8.0f}{r['size']:>8.0f}{r['plug_in_size']:>9.0f}"
              f"{r['healthy_years_that_fail']:>14.1%}{r['on_plug_in']:>9.1%}{r['audit_alone']:>8.1%}" for r in rows]
    return "\n".join(lines)
