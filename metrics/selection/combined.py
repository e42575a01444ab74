"""One estimate from all labels and all traffic: the audit's labels, post-stratified over all predictions.

The audit is a sample whose probabilities are known, so it alone says how often the model is right. What is known of every
prediction (class, confidence, what feedback says of it) tells which kinds of prediction the audit happened to draw too often:
v = sum N_h p_h / N with p_h Hajek's share of stratum h (Holt and Smith 1979; Särndal, Swensson and Wretman 1992, 7.6). Within
a stratum rows keep their weights 1/p, so audits that asked cells with unequal probabilities need nothing else. Strata that
explain a share R2 of being right make the interval narrower by 1 - sqrt(1 - R2).

The variance is the sum of (N_h/N)^2 V_h, V_h linearised with n_h - 1, times (n - 1) / n, so that one stratum alone is the
audit itself. Where strata explain much, the few mistakes that they leave are what it is estimated from, so it counts one more
of them, and never fewer than two, as far as strata explain. The interval is Wilson's on the size n* = v (1 - v) / V. A gate
looks every day at a tail of 1 in 7,000, where strata that happen to look pure would alarm: its V_h is Agresti and Coull's
(1998), p (1 - p) / n_h with two more right and two more wrong rows in p.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.strata.strata import Strata

FURTHER, FEWEST = 1, 2  # mistakes that strata leave: so many more than were seen, so many at least
MORE = 2  # right rows and wrong ones that the cautious variance adds to a stratum (Agresti and Coull 1998)


@dataclass(frozen=True)
class Combined:
    """Arrays of one shape, or scalars. `value` v; `variance`, `cautious` V as it is shown and as a gate takes it;
    `audit_variance` that of the audit alone, without strata; `kish` Kish's size of the rows with their strata's weights."""

    value: np.ndarray
    variance: np.ndarray
    cautious: np.ndarray
    audit_variance: np.ndarray
    kish: np.ndarray

    def count_rows(self, variance: np.ndarray) -> np.ndarray:
        """How many rows drawn alike would give the value that variance; Kish's size at 0 and 1."""
        spread = self.value * (1 - self.value)
        inside = (spread > 0) & (variance > 0)
        return np.where(inside, spread / np.where(inside, variance, 1), self.kish)

    @property
    def explained(self) -> np.ndarray:
        """R2: the share of the audit's variance that the strata take away, at least 0."""
        some = self.audit_variance > 0
        return np.where(some, np.maximum(1 - self.variance / np.where(some, self.audit_variance, 1), 0), 0.0)


def combine_strata(size: np.ndarray, n: np.ndarray, weights: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> Combined:
    """Estimates from strata along the last axis, each with an audit label; arrays of shape (…, strata).

    `weights`: sums of the weights, of their squares, and of both over the right rows (metrics.strata.strata.Strata).
    """
    weight, squared, right, right_squared = weights
    part, p = size / size.sum(-1, keepdims=True), right / weight
    kish = weight**2 / squared
    of_stratum = _linearise(p, weight, squared, right_squared)
    rows = n.sum(-1)
    plain = (part**2 * of_stratum * n / np.maximum(n - 1, 1)).sum(-1) * np.maximum(rows - 1, 1) / rows
    share = right.sum(-1) / weight.sum(-1)
    alone = _linearise(share, weight.sum(-1), squared.sum(-1), right_squared.sum(-1))
    explained = np.where(alone > 0, np.clip(1 - plain / np.where(alone > 0, alone, 1), 0, 1), 0.0)
    of_one = explained * (squared.sum(-1) / weight.sum(-1) ** 2) ** 2
    variance = np.maximum(plain + FURTHER * of_one, FEWEST * of_one)
    spread = p * (1 - p)
    like = np.where(of_stratum > 0, np.minimum(kish, spread / np.where(of_stratum > 0, of_stratum, 1)), kish)
    q = (like * p + MORE) / (like + 2 * MORE)
    cautious = (part**2 * q * (1 - q) / like).sum(-1)
    return Combined((part * p).sum(-1), variance, np.maximum(cautious, variance), alone, 1 / (part**2 / kish).sum(-1))


def _linearise(share: np.ndarray, weight: np.ndarray, squared: np.ndarray, right_squared: np.ndarray) -> np.ndarray:
    """The linearised variance of Hajek's share (Särndal, Swensson and Wretman 1992, 5.7)."""
    return ((1 - share) ** 2 * right_squared + share**2 * (squared - right_squared)) / weight**2


def combine_audit(strata: Strata) -> Combined:
    """The same of strata that are collapsed already (`Strata.merge`)."""
    weights = (strata.weight, strata.weight_squared, strata.weight_right, strata.weight_squared_right)
    return combine_strata(strata.size, strata.n, weights)
