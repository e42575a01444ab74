"""Which strata are taken together, so that each has enough audit labels.

The share right of a stratum with a few audit labels is often 0 or 1, where its variance looks like none: on uncollapsed
strata intervals cover far too seldom. So strata are put in a line, and neighbours taken together until they have at least 20
audit labels. The line is made without looking at what an audit label says, or the strata would fit the very mistakes that
they are to explain: first what feedback says (wrong, none, right), then how often the class and the confidence bin are expected
to be right, by the labels that are no sample (reviews, imports) and, where there are none, by the confidence itself.

Of n labels a group has n^(2/3), and no fewer than 40 but where feedback parts them: H groups along a line leave 1/H^2 of what
it explains, and each costs one label of n (Cochran 1977, 5A.8), so H grows with the cube root of n.
"""

from __future__ import annotations

import numpy as np

from contract.counts import BINS
from metrics.strata.strata import Strata

LEAST = 20  # audit labels of a group
PRIOR = 10  # rows that a share starts with


def group_strata(strata: Strata, least: int = LEAST) -> np.ndarray:
    """Returns for each row the number of its group, 0, 1, … without gaps; one group where all have fewer labels together."""
    order = line_up(strata)
    groups = np.empty(len(strata), int)
    groups[order] = cut_line(strata.n[order], strata.feedback[order], least)
    return groups


def line_up(strata: Strata) -> np.ndarray:
    """Returns the order of the rows in the line, which no audit label decides."""
    return np.lexsort((strata.predicted, strata.bin, expect_shares(strata), strata.feedback))


def cut_line(n: np.ndarray, feedback: np.ndarray, least: int = LEAST) -> list[int]:
    """Numbers groups of neighbours: one is full with its share of labels, or with `least` where feedback changes.

    `n` and `feedback` are those of the rows in the order of the line.
    """
    full = max(2 * least, n.sum() ** (2 / 3))
    rest = (n.sum() - np.cumsum(n)).tolist()
    group, have, first, found = 0, 0.0, None, []
    for place, (labels, says) in enumerate(zip(n.tolist(), feedback.tolist(), strict=True)):
        found.append(group)
        have, first = have + labels, says if first is None else first
        mixed = says != first or (place + 1 < len(n) and says != feedback[place + 1])
        if have >= (least if mixed else full) and rest[place] >= least:  # what is left over joins the last one
            group, have, first = group + 1, 0.0, None
    return found


def expect_shares(strata: Strata) -> np.ndarray:
    """How often each row is expected to be right, by other labels than the audit's: a guess that orders, no estimate.

    The share of the row's class and bin, which starts as the bin's times how the class compares with all; that of a bin
    starts as the middle of its confidence.
    """
    middle = np.where(strata.bin >= 0, (strata.bin + 0.5) / BINS, 0.0)
    classes = np.unique(strata.predicted, return_inverse=True)[1]
    total, right = strata.other.sum(), strata.other_right.sum()
    overall = (right + PRIOR) / (total + PRIOR)
    of_bin = _share(strata, strata.bin + 1, middle)
    of_class = _share(strata, classes, np.full(len(strata), overall))
    cell = classes * (BINS + 1) + strata.bin + 1
    return _share(strata, cell, np.clip(of_bin * of_class / overall, 0, 1))


def _share(strata: Strata, code: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The share right of each row's code among other labels, with PRIOR rows that are right as often as `start` says."""
    n, right = (np.bincount(code, values)[code] for values in (strata.other, strata.other_right))
    return (right + PRIOR * start) / (n + PRIOR)
