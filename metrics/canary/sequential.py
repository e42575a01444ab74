"""Tests of a share that may be looked at after every row, as often as one likes.

The evidence against "every row is a hit with probability <= bound, whatever came before" is a mean of likelihood ratios over
alternatives above the bound. Under the hypothesis it is a supermartingale that begins at 1, so the chance that it ever
reaches 1/level is at most the level (Ville 1939; Robbins 1970, "Statistical methods related to the law of the iterated
logarithm"). It depends on counts alone, so it does not matter when, how often or by whom it is looked at.
"""

import math

import numpy as np

# Alternatives: bound + (1 - bound) * u. Close ones for small excesses, far ones so that a broken version is seen at once.
EXCESSES = tuple(0.005 * 190 ** (k / 23) for k in range(24))  # 0.005 … 0.95
HALVINGS = 24


def measure_evidence(hits: int, n: int, bound: float) -> float:
    """Returns ln of the evidence that the share of hits is above `bound`; -inf … inf. `bound` in [0, 1]."""
    if n == 0 or bound >= 1:
        return 0.0
    if bound <= 0:
        return math.inf if hits else 0.0
    misses = n - hits
    logs = [hits * math.log1p((1 - bound) * u / bound) + misses * math.log1p(-u) for u in EXCESSES]
    largest = max(logs)
    return largest + math.log(math.fsum(math.exp(x - largest) for x in logs)) - math.log(len(EXCESSES))


def measure_evidences(hits: int, n: int, bounds: np.ndarray) -> np.ndarray:
    """Returns the same for each of several bounds in (0, 1]: an array of their shape."""
    if n == 0:
        return np.zeros_like(bounds)
    excesses, free = np.array(EXCESSES), 1 - bounds[:, None]
    logs = hits * np.log1p(free * excesses / bounds[:, None]) + (n - hits) * np.log1p(-excesses)
    largest = logs.max(axis=1)
    evidence = largest + np.log(np.exp(logs - largest[:, None]).mean(axis=1))
    return np.where(bounds < 1, evidence, 0.0)


def is_above(hits: int, n: int, bound: float, level: float) -> bool:
    """Says whether the share is shown to be above `bound`; wrongly so, at any time ever, with a chance of at most `level`."""
    return measure_evidence(hits, n, bound) >= -math.log(level)


def find_lower(hits: int, n: int, level: float) -> float:
    """Returns the largest bound that the share is shown to be above: a lower bound that holds at all times at once, 1 - level."""
    low, high = 0.0, 1.0
    if n == 0 or not is_above(hits, n, low, level):
        return 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_above(hits, n, middle, level) else (low, middle)
    return low
