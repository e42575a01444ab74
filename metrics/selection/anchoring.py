"""What seeing the model's answer adds to the share of labels that agree with it, and how many reviews tell.

From items that one person judged both with the answer in sight and, later, blind: only the items on which the two differ
tell them apart, as with two models on the same rows (metrics/significance/paired.py). Between different people a careful
and a careless one would look like an effect.
"""

from collections.abc import Iterable
from math import ceil, sqrt
from statistics import NormalDist
from typing import NamedTuple

from contract.documents.version_figures import Figure
from contract.evidence.anchoring import Needed
from metrics.figure import missing, share
from metrics.intervals import CONFIDENCE, paired_interval, z_of
from metrics.significance.exact_tests import mcnemar
from metrics.significance.power import POWER

NO_PAIRS = "no review item was answered again without the model's answer"
# Until pairs tell: a model that is right on 90%, and people of whom half are wrong on 2% of the items and half on 12%, by
# chance. Blind they then disagree with it on 16.2%, and two answers of one person differ on 2 e (1 - e), 12.5% on average.
PLANNED_DISAGREEMENT, PLANNED_DISCORDANCE = 0.162, 0.125
PLANNED_PAIRS = 50  # that the plan weighs as
MOST_REVIEWS = 10_000_000


class BothWays(NamedTuple):
    """Items that one person judged both ways, by whether the label agreed with the model's answer: both times, only with the
    answer in sight, only blind, neither time."""

    both: int
    only_seen: int
    only_blind: int
    neither: int

    @property
    def n(self) -> int:
        """All pairs."""
        return sum(self)

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]]) -> "BothWays":
        """Counts (agreed with the answer in sight, agreed blind)."""
        found = list(pairs)
        return cls(*(found.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))))

    def seen(self) -> Figure:
        """Returns the share that agreed with the answer in sight, with Wilson's interval."""
        return share(self.both + self.only_seen, self.n, CONFIDENCE, NO_PAIRS)

    def blind(self) -> Figure:
        """Returns the share that agreed without it, with Wilson's interval."""
        return share(self.both + self.only_blind, self.n, CONFIDENCE, NO_PAIRS)

    def added(self, confidence: float = CONFIDENCE) -> Figure:
        """Returns seen - blind with Newcombe's (1998) interval for paired shares, method 10."""
        if not self.n:
            return missing(NO_PAIRS)
        low, high = paired_interval(self.both, self.only_seen, self.only_blind, self.neither, confidence)
        return {"value": (self.only_seen - self.only_blind) / self.n, "low": low, "high": high}

    def p(self) -> float | None:
        """Returns the two-sided p of McNemar's exact test of "no difference"; None without pairs."""
        return mcnemar(self.only_seen, self.only_blind)["two_sided"] if self.n else None

    def is_found(self) -> bool:
        """Says whether the 95% interval leaves out 0."""
        added = self.added()
        return added["low"] is not None and added["high"] is not None and not added["low"] <= 0 <= added["high"]

    def expect_discordance(self, points: float) -> float:
        """Expects on which share of items the two answers of a person differ when seeing the answer adds `points`.

        Who would disagree with the model follows it with probability a = points / share of blind disagreement, which also
        takes away as many of the chance differences in the other direction. From the plan, and from pairs as they come.
        """
        weight = self.n + PLANNED_PAIRS
        disagreement = (self.n - self.both - self.only_blind + PLANNED_PAIRS * PLANNED_DISAGREEMENT) / weight
        differ = float(self.only_seen + self.only_blind)
        if self.is_found() and self.only_seen > self.only_blind:  # what the effect did is taken off again
            followed = min((self.only_seen - self.only_blind) / (self.n * disagreement), 0.9)
            differ = 2 * self.only_blind / (1 - followed)
        by_chance = (differ + PLANNED_PAIRS * PLANNED_DISCORDANCE) / weight
        return points + by_chance * max(1 - points / disagreement, 0.0)


def count_needed(points: float, found: BothWays, repeated: float, waiting: int = 0) -> Needed:
    """Says how many reviews find a difference of `points` (a share) in 80% of cases, when `repeated` of them are answered blind.

    `waiting`: repeats that were chosen and not answered yet, which take no further review. Pairs by Connor (1987):
    (z sqrt(psi) + z' sqrt(psi - points^2))^2 / points^2, psi being the share of items on which the two answers differ.
    """
    psi = min(found.expect_discordance(points), 1.0)
    root = z_of(CONFIDENCE) * sqrt(psi) + NormalDist().inv_cdf(POWER) * sqrt(max(psi - points**2, 0.0))
    pairs = ceil((root / points) ** 2)
    reviews = ceil(pairs / repeated) if repeated > 0 else MOST_REVIEWS + 1
    if reviews > MOST_REVIEWS:
        return {"points": points, "pairs": pairs, "reviews": None, "more_reviews": None}
    there = ceil((found.n + waiting) / repeated)
    return {"points": points, "pairs": pairs, "reviews": reviews, "more_reviews": max(reviews - there, 0)}
