"""Whether a canary differs from the live version more often than its assessment lets expect, and than the tolerance beyond that.

Two shares are unknown: p of the held-out rows, of which `differ` of `n` differed, and that of live pictures. The hypothesis is
that the second is at most p + tolerance, whatever p is. For one p there are two P values: the exact binomial one of the
assessment, P(X <= differ), and 1 / evidence of the canary's answers against p + tolerance, which holds at all times at once
(metrics/canary/sequential.py). They are independent, and the product of two such values is at most c with a probability of at
most c (1 - ln c) (Fisher 1932). The hypothesis falls when for every p the product is at most c.

A bound of p at half the level and a test at the other half (Bonferroni) asks for more: it is as if both were at their worst at
once. benchmarks/canary.py compares the two with the best that any test could do.
"""

import math
from functools import lru_cache

import numpy as np

from contract.canary.documents import Expected
from metrics.canary.sequential import measure_evidences

PIECES, COARSE = 400, 50  # of the shares p that the assessment leaves possible
HALVINGS = 60


@lru_cache(8)
def find_product(level: float) -> float:
    """Returns c with c (1 - ln c) = `level`, in (0, 1]: the largest product of two P values that rejects at the level."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if middle * (1 - math.log(middle)) <= level else (low, middle)
    return low


def is_more(hits: int, n: int, expected: Expected, tolerance: float, level: float) -> bool:
    """Says whether `hits` of `n` answers show a share above the assessment's plus `tolerance`; wrongly so, at any time ever, with
    a chance of at most `level`."""
    if n == 0 or hits <= n * (expected.differ / expected.n + tolerance) or expected.differ >= expected.n:
        return False
    product = find_product(level)
    shares, assessed = _list_possible(expected.differ, expected.n, product)
    for every in (COARSE, 1):  # most looks find nothing, and a few shares tell that
        answered = measure_evidences(hits, n, np.minimum(shares[::every] + tolerance, 1.0))
        if not (assessed[::every] - np.maximum(answered, 0.0) <= math.log(product)).all():
            return False
    return True


@lru_cache(64)
def _list_possible(differ: int, n: int, product: float) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of the shares that the assessment leaves possible: their upper ends, ln of its P value at their lower ends.

    The P value falls with the share, and evidence with the bound: of each the end that speaks for the candidate.
    """
    from scipy.special import bdtr, bdtri

    ends = np.linspace(0, float(bdtri(differ, n, product)), PIECES + 1)
    return ends[1:], np.log(bdtr(differ, n, ends[:-1]))
