"""Two models on the same rows: who was right where, the difference of their accuracies, and McNemar's test.

Only the rows on which the two disagree tell them apart, so everything here rests on four counts. Whatever compares two
models comes through here: assessments, replays and shadows, the promotion gate, and the gate against a trivial model.
"""

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np

from contract.documents.version_figures import Figure
from metrics.figure import missing, share
from metrics.intervals import CONFIDENCE, SEED, paired_interval
from metrics.significance.exact_tests import mcnemar

NO_ROWS = "no rows"
REPLICATES = 1000


@dataclass(frozen=True)
class Paired:
    """Rows that two models, live and candidate, both answered, by who was right."""

    both: int
    only_live: int
    only_candidate: int
    neither: int

    @property
    def n(self) -> int:
        """All rows."""
        return self.both + self.only_live + self.only_candidate + self.neither

    def __add__(self, other: "Paired") -> "Paired":
        return Paired(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @classmethod
    def of(cls, counts: Mapping[str, Any]) -> "Paired":
        """Reads the four counts of a document."""
        return cls(*(int(counts[name]) for name in ("both", "only_live", "only_candidate", "neither")))

    @classmethod
    def count(cls, live_right: np.ndarray, candidate_right: np.ndarray) -> "Paired":
        """Counts two bool arrays of one length that say, row by row, whether each model was right."""
        return cls(int((live_right & candidate_right).sum()), int((live_right & ~candidate_right).sum()),
                   int((~live_right & candidate_right).sum()), int((~live_right & ~candidate_right).sum()))

    def live(self, confidence: float = CONFIDENCE) -> Figure:
        """Returns the figure of the live model's accuracy, with Wilson's interval."""
        return share(self.both + self.only_live, self.n, confidence, NO_ROWS)

    def candidate(self, confidence: float = CONFIDENCE) -> Figure:
        """Returns the figure of the candidate's accuracy, with Wilson's interval."""
        return share(self.both + self.only_candidate, self.n, confidence, NO_ROWS)

    def difference(self, confidence: float = CONFIDENCE) -> Figure:
        """Returns the figure of candidate - live, with Newcombe's interval for paired shares."""
        if not self.n:
            return missing(NO_ROWS)
        low, high = paired_interval(self.both, self.only_candidate, self.only_live, self.neither, confidence)
        return {"value": (self.only_candidate - self.only_live) / self.n, "low": low, "high": high}

    def mcnemar(self) -> dict[str, float]:
        """Returns the p values of McNemar's exact test: `two_sided`, `candidate_worse`, `live_worse`."""
        p = mcnemar(self.only_candidate, self.only_live)
        return {"two_sided": p["two_sided"], "candidate_worse": p["a_worse"], "live_worse": p["b_worse"]}

    def to_dict(self, confidence: float = CONFIDENCE) -> dict[str, Any]:
        """Returns `n`, the four counts and all figures of them, as an assessment has them."""
        return {"n": self.n, **asdict(self), "live": self.live(confidence), "candidate": self.candidate(confidence),
                "difference": self.difference(confidence), "mcnemar": self.mcnemar() if self.n else None}


def estimate_weighted_difference(live_right: np.ndarray, candidate_right: np.ndarray, p: np.ndarray) -> dict[str, Any]:
    """Returns the figure of candidate - live weighted by 1/p, over the `n` rows whose selection probability is known.

    `live_right`, `candidate_right` are bool, `p` is NaN where unknown; all of one length. The interval is a percentile
    bootstrap over rows at 95%, with a fixed seed. It is missing below two such rows.
    """
    known = np.isfinite(p) & (p > 0)
    n = int(known.sum())
    if n < 2:
        return {**missing(NO_ROWS), "n": n}
    gain = (candidate_right.astype(float) - live_right)[known]
    weight = 1 / p[known]
    draws = np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), REPLICATES)
    low, high = np.quantile((draws @ (gain * weight)) / (draws @ weight), [0.025, 0.975])
    return {"value": float((gain * weight).sum() / weight.sum()), "low": float(low), "high": float(high), "n": n}
