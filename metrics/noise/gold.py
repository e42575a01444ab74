"""Accuracy behind label noise from gold items: predictions whose class is known, on which people voted blind.

They tell how often a vote names the predicted class where the model is right (c) and where it is wrong (f), whatever makes
them differ, so no independence is needed: a vote is a test for "the model is right" with sensitivity c and specificity
1 - f, and the share of those that are right is (r - f) / (c - f) (Rogan and Gladen 1978), with the interval of Lang and
Reiczigel (2014), which adds pseudo-counts to all three shares. What it rests on: gold items are as hard as the rest.
"""

from dataclasses import dataclass

import numpy as np

from contract.documents.version_figures import Figure
from metrics.figure import share
from metrics.intervals import z_of
from metrics.noise.spread import divide, estimate_size
from metrics.noise.votes import Moments

ENOUGH_GOLD = 30  # blind votes on gold items where the model is right, and as many where it is wrong


@dataclass(frozen=True)
class GoldVotes:
    """Blind votes on gold items: where the model was right, how many and how many of them right; where it was wrong, how
    many, how many name the (wrong) answer, and how many are right."""

    right: int = 0
    right_known: int = 0
    wrong: int = 0
    wrong_hits: int = 0
    wrong_known: int = 0

    @property
    def enough(self) -> bool:
        """Whether they tell the accuracy behind the votes."""
        return min(self.right, self.wrong) >= ENOUGH_GOLD


def from_gold(found: Moments, gold: GoldVotes, confidence: float) -> tuple[Figure, Figure] | str:
    """(accuracy, ceiling) of votes whose errors gold items measure, or why they do not tell."""
    hits, z = divide(found.hits, found.items), z_of(confidence)
    value, n = float(hits[0]), estimate_size(hits, found.sizes[0])
    c, f = (gold.right_known + 1) / (gold.right + 2), (gold.wrong_hits + 1) / (gold.wrong + 2)
    if c - f <= 0.1:
        return "votes on gold items name the answer hardly more often where it is right"
    r = (n * value + z * z / 2) / (n + z * z)
    a = float(np.clip((r - f) / (c - f), 0, 1))
    of_c, of_f = c * (1 - c) / (gold.right + 2), f * (1 - f) / (gold.wrong + 2)
    shift = 2 * z * z * (a * of_c - (1 - a) * of_f)
    half = z * float(np.sqrt(r * (1 - r) / (n + z * z) + a * a * of_c + (1 - a) ** 2 * of_f)) / (c - f)
    plain = (value - gold.wrong_hits / gold.wrong) / (gold.right_known / gold.right - gold.wrong_hits / gold.wrong)
    accuracy = _order(plain, a + shift - half, a + shift + half)
    return accuracy, _find_ceiling(accuracy, gold, confidence)


def _find_ceiling(accuracy: Figure, gold: GoldVotes, confidence: float) -> Figure:
    """The share of votes that are right: of those on right answers and on wrong ones, mixed as the model is right or wrong."""
    right = share(gold.right_known, gold.right, confidence, "")
    wrong = share(gold.wrong_known, gold.wrong, confidence, "")
    a = accuracy["value"] or 0.0

    def mix(of: Figure, name: str) -> float:
        return float(of[name] or 0.0)  # type: ignore[literal-required]

    value = a * mix(right, "value") + (1 - a) * mix(wrong, "value")
    part = [mix(right, "value") - mix(wrong, "value")]
    down = np.hypot(a * (mix(right, "value") - mix(right, "low")), (1 - a) * (mix(wrong, "value") - mix(wrong, "low")))
    up = np.hypot(a * (mix(right, "high") - mix(right, "value")), (1 - a) * (mix(wrong, "high") - mix(wrong, "value")))
    down = np.hypot(down, part[0] * (a - (accuracy["low"] or 0.0)))
    up = np.hypot(up, part[0] * ((accuracy["high"] or 0.0) - a))
    return _order(value, value - float(down), value + float(up))


def _order(value: float, low: float, high: float) -> Figure:
    value = min(max(value, 0.0), 1.0)
    return {"value": value, "low": min(max(low, 0.0), value), "high": max(min(high, 1.0), value)}
