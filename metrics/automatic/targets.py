"""What a target accuracy would automate: the lowest common threshold whose accepted answers are known to be right so often.

Choosing and judging on the same rows flatters, unless what is tried is fixed beforehand. Here it is: the accepted sets from the
strictest threshold down, each tested once (H: its accuracy is below the target), until one is not rejected. In such a fixed
sequence every test may use the whole level (Maurer, Hothorn and Lehmacher 1995; for risks of a prediction rule Angelopoulos,
Bates, Candes, Jordan and Lei 2021, "Learn then test"): the first false rejection needs a test of its own to err, so the chance
that the chosen set misses the target is at most 1 - confidence. The sequence begins at the first set with labels enough to tell
at all, which depends on how many there are, and not on what they say. Simulated: benchmarks/accept_targets.py.
"""

import math

from contract.confidence import EDGES
from contract.counts import BINS
from contract.evidence.automatic import Target
from contract.texts.figures import write_bound
from metrics.automatic.graded import Graded, Part, find_share
from metrics.intervals import effective_size
from metrics.selection.estimate import estimate_linearised_size, hajek
from metrics.selection.origin_sums import Sums
from metrics.significance.share_of_origin import ENOUGH_KISH, p_of_share


def choose_threshold(graded: Graded, target: float, confidence: float) -> Target:
    """The lowest common threshold of all classes whose accepted answers are right in `target` of cases, with `confidence`."""
    level, found, reason, above = 1 - confidence, None, "", Sums()
    for k in range(BINS - 1, -1, -1):
        sums = graded.from_bin[k].sums
        if not sums.n or sums == above or (found is None and not _can_tell(graded, sums, target, level)):
            above = sums  # without labels of its own a bin is not reached: nothing tells of what lies there
            continue
        above = sums
        if p_below(graded, sums, target) > level:
            reason = reason or (f"from {EDGES[k]:g} on it is not known with {write_bound(confidence)} confidence" if found is None
                                else "")
            break
        found = k
    if found is None:
        reason = reason or f"too few labels: {_say_needed(target, level)} accepted answers with a label, all right, would tell"
    part = Part() if found is None else graded.from_bin[found]
    accuracy, labelled = graded.judge(part.sums, confidence)
    return {"target": target, "threshold": None if found is None else EDGES[found], "accepted": part.n,
            "share": find_share(part, graded.predictions), "labelled": labelled, "accuracy": accuracy,
            "reason": reason if found is None else None}


def p_below(graded: Graded, sums: Sums, target: float) -> float:
    """One-sided p of "the accuracy is at most `target`": the exact binomial tail, or where rows have unequal weights the beta
    tail at the rows drawn alike that they stand for. 1 without a row."""
    value, size = _size_up(graded, sums)
    return float(p_of_share(1 - value, size, 1 - target)) if size else 1.0


def _size_up(graded: Graded, sums: Sums) -> tuple[float, float]:
    """(share right, rows drawn alike that it stands for: the smaller of the linearised size and Kish's)."""
    if not graded.weighted:
        return (sums.right / sums.n, float(sums.n)) if sums.n else (0.0, 0.0)
    value = hajek(sums, 0.95)["value"]
    if value is None:
        return 0.0, 0.0
    return value, min(estimate_linearised_size(sums), effective_size(sums.weight, sums.weight_squared))


def _can_tell(graded: Graded, sums: Sums, target: float, level: float) -> bool:
    """Whether labels are enough to tell the target if all of them were right, and even enough for a tail to be trusted."""
    if not graded.weighted:
        return sums.n > 0 and target ** sums.n <= level
    kish = effective_size(sums.weight, sums.weight_squared) if sums.n_weighted else 0.0
    return kish >= min(sums.n_weighted, ENOUGH_KISH) and kish > 0 and bool(target ** kish <= level)


def _say_needed(target: float, level: float) -> int:
    """How many labels, all right, would tell."""
    return math.ceil(math.log(level) / math.log(target))
