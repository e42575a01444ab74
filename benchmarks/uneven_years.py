"""How often the retraining gate calls a healthy model bad in a year when audits ask with unequal probabilities.

Part of `python -m benchmarks.gate_years`. Each scenario is a week of days that repeats, so that every window of 7 days
holds the bound exactly over its predictions. Beside the gate's rule (the binomial tail on the linearised size, nothing
told below Kish's 100) stand two that it does not use: the same without that limit, and the tail on Kish's size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.significance.share_of_origin import ENOUGH_KISH, p_of_share

DAYS, WINDOW = 365, 7


@dataclass(frozen=True)
class Part:
    """Predictions of a day that are asked with one probability `p`, and how often the model is right on them."""

    predictions: int
    p: float
    accuracy: float


Week = list[list[Part]]


def plan_bad_day(bound: float) -> Week:
    """2% of 10,000 predictions on six days, all of 600 on a seventh, on which the model is right in 70%."""
    others = (bound * 60_600 - 0.7 * 600) / 60_000
    return [[Part(10_000, 0.02, others)]] * 6 + [[Part(600, 1.0, 0.7)]]


def plan_turns(bound: float) -> Week:
    """Half of a quiet day, 2% of a busy one, in turn; the model is the same on both."""
    return [[Part(400, 0.5, bound)] if day % 2 else [Part(10_000, 0.02, bound)] for day in range(7)]


def plan_uncertain(bound: float, floor: float = 0.01) -> Week:
    """Of 2,000 predictions a day those that the model doubts are asked most, with a floor for the others."""
    sure = (bound * 2000 - 0.6 * 200 - 0.85 * 400) / 1400
    return [[Part(200, 0.5, 0.6), Part(400, 0.1, 0.85), Part(1400, floor, sure)]] * 7


def plan_thin_floor(bound: float) -> Week:
    """The same with so thin a floor that 20 rows a week stand for most predictions. Thinner ones: docs/log.md."""
    return plan_uncertain(bound, 0.002)


SCENARIOS: dict[str, Callable[[float], Week]] = {
    "2%, and all of a bad day": plan_bad_day, "2% and 50% in turn": plan_turns, "uncertain first": plan_uncertain,
    "uncertain first, thin floor": plan_thin_floor}


def row(name: str, years: int, bound: float, alarms: float, seed: int = 1) -> dict[str, Any]:
    """One line: the shares of healthy years in which each rule ever fails, and the median of Kish's size."""
    sums = simulate(SCENARIOS[name](bound), years, np.random.default_rng(seed))
    value, size, kish = shares(sums)
    level = alarms / 365
    low = p_of_share(value, size, bound) <= level
    return {"scenario": name, "level": level, "kish": float(np.median(kish)), "size": float(np.median(size)),
            "cannot_tell": float((kish < ENOUGH_KISH).mean()),
            "healthy_years_that_fail": float((low & (kish >= ENOUGH_KISH)).any(1).mean()),
            "without_the_limit": float(low.any(1).mean()),
            "on_kish_size": float((p_of_share(value, kish, bound) <= level).any(1).mean())}


def simulate(week: Week, years: int, rng: np.random.Generator) -> np.ndarray:
    """Sums over each window of 7 days, shape (4, years, 365): of weights, of right ones, and of the squares of both."""
    days = np.zeros((4, years, DAYS + WINDOW - 1))
    for day in range(days.shape[2]):
        for part in week[day % WINDOW]:
            asked = rng.binomial(part.predictions, part.p, years)
            right = rng.binomial(asked, part.accuracy)
            weight = 1 / part.p
            days[:, :, day] += np.stack([asked * weight, right * weight, asked * weight**2, right * weight**2])
    return np.lib.stride_tricks.sliding_window_view(days, WINDOW, axis=2).sum(axis=3)


def shares(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(share, linearised size, Kish's size) of sums of shape (4, …), as metrics.selection.estimate has them of whole numbers."""
    weight, right, squared, squared_right = sums
    value, kish = right / weight, weight**2 / squared
    variance = ((1 - value) ** 2 * squared_right + value**2 * (squared - squared_right)) / weight**2
    return value, np.where(variance > 0, value * (1 - value) / np.where(variance > 0, variance, 1), kish), kish


def text(rows: list[dict[str, Any]]) -> str:
    """The lines as an aligned table."""
    lines = ["audits with unequal probabilities, windows of 7 days", "",
             f"{'scenario':<30}{'Kish':>8}{'size':>8}{'years failed':>14}{'cannot tell':>13}{'no limit':>10}{'on Kish':>9}"]
    lines += [f"{found['scenario']:<30}{found['kish']:>8.0f}{found['size']:>8.0f}{found['healthy_years_that_fail']:>14.1%}"
              f"{found['cannot_tell']:>13.1%}{found['without_the_limit']:>10.1%}{found['on_kish_size']:>9.1%}" for found in rows]
    return "\n".join(lines)
