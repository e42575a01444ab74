"""Feedback against the audit of the same predictions: whom people tell, and whether what they say is so.

An accuracy from feedback is off for two reasons: who says anything (mistakes annoy) and what they say (a right answer called
wrong, a wrong one passed). An audit that asked about the same predictions separates the two.
"""

from typing import NamedTuple

import numpy as np

from contract.documents.version_figures import Figure
from metrics.figure import missing, share
from metrics.intervals import CONFIDENCE, SMALLEST_SUPPORT, paired_interval, z_of

NONE_AUDITED = "no audited prediction has feedback"


class Told(NamedTuple):
    """Audited predictions, as arrays of one length: whether the audit calls the answer right, whether feedback does (NaN: no
    feedback), and the audit's selection probability (NaN: unknown)."""

    right: np.ndarray  # bool
    said: np.ndarray  # float: 1 right, 0 wrong, NaN
    p: np.ndarray  # float in (0, 1], or NaN

    def tally(self, right: bool, said: bool) -> int:
        """Counts the predictions with feedback by what audit and feedback say."""
        return int(((self.right == right) & (self.said == said)).sum())

    def wrong_of_right(self) -> Figure:
        """Returns the share of the audited-right predictions with feedback that feedback calls wrong."""
        wrong = self.tally(True, False)
        return share(wrong, wrong + self.tally(True, True), CONFIDENCE, NONE_AUDITED)

    def right_of_wrong(self) -> Figure:
        """Returns the share of the audited-wrong predictions with feedback that feedback calls right."""
        right = self.tally(False, True)
        return share(right, right + self.tally(False, False), CONFIDENCE, NONE_AUDITED)

    def given(self, right: bool) -> Figure:
        """Returns the share of the predictions that the audit calls `right` (or wrong) that have feedback."""
        of = self.right == right
        return share(int((of & ~np.isnan(self.said)).sum()), int(of.sum()), CONFIDENCE, "the audit has none")

    def judges(self) -> Figure:
        """Returns share right by feedback - by audit over the same predictions, with Newcombe's (1998) paired interval."""
        both, only_feedback, only_audit, neither = (self.tally(r, s) for r, s in (
            (True, True), (False, True), (True, False), (False, False)))
        n = both + only_feedback + only_audit + neither
        if not n:
            return missing(NONE_AUDITED)
        low, high = paired_interval(both, only_feedback, only_audit, neither, CONFIDENCE)
        return {"value": (only_feedback - only_audit) / n, "low": low, "high": high}

    def bias(self) -> Figure:
        """Returns the share right by feedback of what has feedback - by audit of all that was audited.

        Weighted by 1/p where every p is known. The variance is linearised (Särndal, Swensson and Wretman 1992, section 5.5):
        both shares rest on one sample, so their errors go together.
        """
        told = ~np.isnan(self.said)
        if min(int(told.sum()), len(told) - 1) < SMALLEST_SUPPORT:
            return missing(f"fewer than {SMALLEST_SUPPORT} audited predictions have feedback")
        weight = 1 / self.p if not np.isnan(self.p).any() else np.ones(len(told))
        said = np.where(told, self.said, 0.0)
        by_feedback = float((weight * said).sum() / (weight * told).sum())
        by_audit = float((weight * self.right).sum() / weight.sum())
        influence = weight * told * (said - by_feedback) / (weight * told).sum() - weight * (self.right - by_audit) / weight.sum()
        half = z_of(CONFIDENCE) * float(np.sqrt((influence**2).sum()))
        value = by_feedback - by_audit
        return {"value": value, "low": max(value - half, -1.0), "high": min(value + half, 1.0)}
