"""Whether a canary goes on, takes a step, is withdrawn or made live: a pure function of it and of what was observed.

    decision = decide(state.canary, Observed(counts=…, now=…))
    decision.what, decision.reasons            # "withdraw", ["errors: 14 of 31 answers …"]

docs/design.md#a-canary has the rules; `judge_replica` is the part of them that a replica applies to its own counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from contract.canary.documents import NOTHING, Bounds, Canary, Expected, StepCounts
from contract.texts.figures import write_bound
from metrics.canary.differing import is_more
from metrics.canary.sequential import find_lower, is_above

What = Literal["go on", "step", "withdraw", "promote"]
GO_ON: What = "go on"
STEP: What = "step"
WITHDRAW: What = "withdraw"
PROMOTE: What = "promote"
LEVEL = 0.01  # of each of the four watches, over the whole canary
REPLICA_LEVEL = 0.0005  # of each of the two watches of one replica
MEDIAN = 0.5
COMPARED_PART = 4  # one in so many of the answers that a step needs must have been compared


class Labelled(NamedTuple):
    """Labelled rows of one version and role: how many, and how many of them were right."""

    right: int
    n: int


@dataclass(frozen=True)
class Observed:
    """`counts`: step -> what all replicas counted together; `stopped`: why replicas stopped by themselves; `seconds`: since the
    step began; `canary`, `live`: labelled rows of the same days and origin, None when nobody asked or nothing is labelled."""

    counts: Mapping[int, StepCounts]
    seconds: float
    stopped: Sequence[str] = ()
    canary: Labelled | None = None
    live: Labelled | None = None

    @property
    def whole(self) -> StepCounts:
        """All steps together."""
        return sum(self.counts.values(), NOTHING)


@dataclass(frozen=True)
class Decision:
    """What is to be done, and why; of `go on`, what it waits for."""

    what: What
    reasons: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The reasons as one text."""
        return "; ".join(self.reasons)


def decide(canary: Canary, seen: Observed) -> Decision:
    """Decides by everything that was observed since the canary was started."""
    bad = [*seen.stopped, *judge_counts(canary.bounds, canary.expected, seen.whole), *judge_labels(canary.bounds, seen)]
    if bad:
        return Decision(WITHDRAW, bad)
    waits = [*_list_missing(canary, seen), *_list_doubtful(canary, seen)]
    if waits:
        return Decision(GO_ON, waits)
    last = canary.step + 1 == len(canary.steps)
    done = seen.counts.get(canary.step, NOTHING)
    return Decision(PROMOTE if last else STEP, [f"{done.answers} answers at {write_bound(canary.share)} with {done.errors} errors"
                                                + _say_disagreement(canary.expected, seen.whole)])


def judge_counts(bounds: Bounds, expected: Expected | None, all_: StepCounts, level: float = LEVEL) -> list[str]:
    """Lists what the counts show to be beyond its bound."""
    bad = []
    if is_above(all_.errors, all_.answers, bounds.errors, level):
        bad.append(f"errors: {all_.errors} of {all_.answers} answers, more than {bounds.errors:.4g}")
    if is_above(all_.slower, all_.compared, MEDIAN, level):
        bad.append(f"time: {all_.slower} of {all_.compared} answers took over {bounds.latency_ratio:.4g} times as long as the "
                   f"live version's")
    if expected is not None and is_more(all_.differ, all_.compared, expected, bounds.disagreement, level):
        bad.append(f"disagreement: {all_.differ} of {all_.compared} answers differ from the live version's, expected were "
                   f"{expected.differ} of {expected.n}")
    return bad


def judge_replica(bounds: Bounds, all_: StepCounts) -> str | None:
    """Says why one replica stops by its own counts; None while it need not."""
    return next(iter(judge_counts(bounds, None, all_, REPLICA_LEVEL)), None)


def find_bound(bounds: Bounds, expected: Expected, level: float = LEVEL) -> float:
    """The share of disagreement with which a canary may take a step: what its assessment lets expect at the most (Clopper and
    Pearson's upper bound at half the level), plus the tolerance."""
    if expected.differ >= expected.n:
        return 1.0
    from scipy.special import bdtri

    return min(float(bdtri(expected.differ, expected.n, level / 2)) + bounds.disagreement, 1.0)


def judge_labels(bounds: Bounds, seen: Observed, level: float = LEVEL) -> list[str]:
    """Lists the accuracy where labels show that the canary's is lower than the live version's by more than `max_drop`."""
    if seen.canary is None or seen.live is None or not (seen.canary.n and seen.live.n):
        return []
    if seen.canary.right / seen.canary.n >= seen.live.right / seen.live.n - bounds.max_drop:
        return []
    floor = find_lower(*seen.live, level / 2) - bounds.max_drop
    wrong = seen.canary.n - seen.canary.right
    return [f"labels: {seen.canary.right} of {seen.canary.n} right, of the live version's {seen.live.right} of {seen.live.n}"
            ] if is_above(wrong, seen.canary.n, 1 - floor, level / 2) else []


def _list_missing(canary: Canary, seen: Observed) -> list[str]:
    """What the step has too little of."""
    bounds, done = canary.bounds, seen.counts.get(canary.step, NOTHING)
    labels, needed = seen.canary.n if seen.canary else 0, bounds.labels * (canary.step + 1)
    fewest = -(-bounds.answers // COMPARED_PART)
    return [text for text, there, wanted in (
        (f"{done.answers} of {bounds.answers} answers", done.answers, bounds.answers),
        (f"{seen.seconds:.0f} of {bounds.seconds:.0f} s", seen.seconds, bounds.seconds),
        (f"{labels} of {needed} labels", labels, needed),
        (f"{done.compared} of {fewest} answers compared", done.compared, fewest if canary.expected else 0)) if there < wanted]


def _list_doubtful(canary: Canary, seen: Observed) -> list[str]:
    """What is not shown to be beyond its bound, but lies there: more of it will tell."""
    bounds, all_, expected = canary.bounds, seen.whole, canary.expected
    found = []
    if all_.errors > bounds.errors * all_.answers:
        found.append(f"{all_.errors} errors in {all_.answers} answers")
    if all_.slower > MEDIAN * all_.compared:
        found.append(f"{all_.slower} of {all_.compared} answers were slower")
    if expected is not None and all_.differ > find_bound(bounds, expected) * all_.compared:
        found.append(f"{all_.differ} of {all_.compared} answers differ")
    return [f"undecided: {text}" for text in found]


def _say_disagreement(expected: Expected | None, all_: StepCounts) -> str:
    if expected is None:
        return "; how often it may differ is not known, since there is no assessment against the live version"
    return f", {all_.differ} of {all_.compared} differ (expected {expected.differ} of {expected.n})"
