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

import numpy as np

from contract.canary.documents import Expected
from metrics.canary.sequential import measure_evidences

PIECES = 400  # of the shares p that the assessment leaves possible
HALVINGS = 60


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
    from scipy.special import bdtr, bdtri

    product = find_product(level)
    highest = float(bdtri(expected.differ, expected.n, product))  # the assessment alone rules out what lies above
    shares = np.linspace(0, highest, PIECES + 1)
    # Piece by piece: the assessment's P value falls with p, evidence falls with the bound; of each the end that speaks for p.
    assessed = np.log(bdtr(expected.differ, expected.n, shares[:-1]))
    answered = np.maximum(measure_evidences(hits, n, np.minimum(shares[1:] + tolerance, 1.0)), 0.0)
    return bool((assessed - answered <= math.log(product)).all())
