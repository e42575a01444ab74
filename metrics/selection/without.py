"""What is left of the rows of an origin class when those of one person are taken away: the share, and how much that was."""

from collections.abc import Mapping

from contract.documents.version_figures import Figure
from metrics.figure import missing, ratio, share
from metrics.selection.estimate import NO_LABELS, hajek
from metrics.selection.origin_sums import Sums


def estimate_without(sums: Sums, change: Sums, confidence: float) -> Figure:
    """Returns the share of right rows after a change, weighted (Hajek) where the weights that are left are unequal.

    `change` is added, so that what goes is negative. The share has Wilson's interval, as `estimate` shows it; null with a
    reason when no row is left.
    """
    left = sums + change
    if not left.weighted:
        return share(left.right, left.n, confidence, NO_LABELS)
    found = hajek(left, confidence)
    return missing(NO_LABELS) if found["value"] is None else {"value": found["value"], "low": found["low"], "high": found["high"]}


def share_of(votes: int, of_all: Mapping[str, int], version: str) -> float:
    """Returns the votes of one as a share (0 to 1) of those of a version."""
    return ratio(votes, of_all.get(version, 0))
