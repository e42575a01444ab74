"""How often a good canary is withdrawn, and after how many answers a bad one is: simulated, by the decision that runs.

    python -m benchmarks.canary --runs 2000

Of each candidate that differs too often it also says what the best test could do: how many of the runs any test could withdraw
before 500 answers that withdraws a candidate within the bound in at most 1% of runs (Neyman and Pearson's lemma).

Each run is a whole canary: steps of 200 answers, looked at after every 10 answers, as a driver of a busy service does; one that
is neither live nor withdrawn after 4,000 answers ends there.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from contract import clock
from contract.canary.documents import Bounds, Canary, Expected, StepCounts
from metrics.canary.decide import GO_ON, LEVEL, STEP, WITHDRAW, Decision, Labelled, Observed, decide

MOST, EVERY, HELD_OUT, EARLY = 4_000, 10, 200, 500
BOUNDS = Bounds(seconds=0)


@dataclass(frozen=True)
class Candidate:
    """What a candidate does on live traffic, and how often it differed on the held-out rows."""

    name: str
    errors: float = 0.0
    slower: float = 0.05
    differs: float = 0.10
    assessed: float = 0.10
    right: float = 0.90
    labels: float = 0.0  # share of its answers that get a trusted label; of the live version as many again


GOOD = (Candidate("good: differs as assessed, 10%"), Candidate("good: differs on half, as assessed", differs=0.5, assessed=0.5),
        Candidate("good, at its bounds: 2% errors, half slower, 0.10 more disagreement", 0.02, 0.5, 0.20, 0.10),
        Candidate("good, 5 points below live, every answer labelled", right=0.85, labels=1.0))
BAD = (Candidate("bad: fails on 1 in 10", errors=0.10), Candidate("bad: four of five are slower", slower=0.8),
       Candidate("bad: broken, differs on 70%", differs=0.7), Candidate("bad: differs on 35%, assessed 10%", differs=0.35),
       Candidate("bad: 70% right where live has 90%, one answer in five labelled", right=0.7, labels=0.2, differs=0.30))


def simulate(candidate: Candidate, rng: np.random.Generator) -> tuple[Decision, int]:
    """Carries one canary to its end; returns the last decision and after how many answers it came."""
    now = clock.iso(clock.now())
    canary = Canary(version="2", live="1", salt="s", steps=[0.01, 0.05, 0.25, 0.5], started_at=now, stepped_at=now, bounds=BOUNDS,
                    expected=Expected(n=HELD_OUT, differ=int(rng.binomial(HELD_OUT, candidate.assessed))))
    counts: dict[int, StepCounts] = {}
    mine = live = Labelled(0, 0)
    for answers in range(EVERY, MOST + EVERY, EVERY):
        errors = int(rng.binomial(EVERY, candidate.errors))
        compared = EVERY - errors
        more = StepCounts(answers=EVERY, errors=errors, compared=compared, differ=int(rng.binomial(compared, candidate.differs)),
                          slower=int(rng.binomial(compared, candidate.slower)))
        counts[canary.step] = counts.get(canary.step, StepCounts()) + more
        asked = int(rng.binomial(EVERY, candidate.labels))
        mine = Labelled(mine.right + int(rng.binomial(asked, candidate.right)), mine.n + asked)
        live = Labelled(live.right + int(rng.binomial(asked, 0.90)), live.n + asked)
        decision = decide(canary, Observed(counts, 1.0, (), mine, live))
        if decision.what == STEP:
            canary = canary.model_copy(update={"step": canary.step + 1})
        elif decision.what != GO_ON:
            return decision, answers
    return decision, answers


def measure(candidate: Candidate, runs: int, seed: int = 1) -> tuple[float, float, np.ndarray]:
    """Returns the share of runs that were withdrawn, the share withdrawn before 500 answers, and the answers of those."""
    ends = [simulate(candidate, np.random.default_rng([seed, n])) for n in range(runs)]
    after = np.array([answers for decision, answers in ends if decision.what == WITHDRAW])
    return len(after) / runs, float((after < EARLY).sum()) / runs, after


def bound_power(assessed: float, differs: float, tolerance: float, answers: int, level: float = LEVEL,
                shares: int = 40) -> float:
    """Returns an upper bound on the power of any test against a candidate that differed on `assessed` of 200 held-out rows and
    differs on `differs` of so many answers, if it withdraws candidates that differ on p and p + `tolerance` in at most `level` of
    the runs, whatever p is.

    A test that keeps its level for every p keeps it for one, and against one p none has more power than the likelihood-ratio
    test. So the least power over a grid of p is a bound, if not the lowest one. How often the test looked does not matter: what
    it decided by then rests on these rows and answers.
    """
    from scipy.stats import binom

    rows, hits = np.arange(HELD_OUT + 1)[:, None], np.arange(answers + 1)[None, :]
    bad = binom.logpmf(rows, HELD_OUT, assessed) + binom.logpmf(hits, answers, differs)

    def find_power(p: float) -> float:
        good = binom.logpmf(rows, HELD_OUT, p) + binom.logpmf(hits, answers, p + tolerance)
        order = np.argsort(-(bad - good), axis=None)
        spent, found = np.exp(good.ravel()[order]).cumsum(), np.exp(bad.ravel()[order]).cumsum()
        last = int(np.searchsorted(spent, level))  # the first outcome that the level does not wholly pay for
        before = (spent[last - 1], found[last - 1]) if last else (0.0, 0.0)
        return float(before[1] + (level - before[0]) / (spent[last] - before[0]) * (found[last] - before[1]))

    possible = np.linspace(assessed, max(differs - tolerance, assessed), shares)
    return min(find_power(p) for p in possible if p > 0 and p + tolerance < 1)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--only", default="", metavar="WORDS", help="candidates that are described by these words")
    asked = parser.parse_args()
    runs = asked.runs
    print(f"{runs} canaries each; withdrawn; withdrawn before 500 answers; median and 95% point of the answers until then")
    for candidate in (one for one in (*GOOD, *BAD) if asked.only in one.name):
        withdrawn, early, after = measure(candidate, runs)
        points = " ".join(f"{p:.0f}" for p in np.percentile(after, [50, 95])) if len(after) else "-"
        best = ""
        if candidate.differs > candidate.assessed + BOUNDS.disagreement:
            most = bound_power(candidate.assessed, candidate.differs, BOUNDS.disagreement, EARLY - EVERY)
            best = f"   no test could find more than {most:.2%} before {EARLY}"
        print(f"{candidate.name:<75} {withdrawn:7.2%} {early:7.2%} {points}{best}", flush=True)


if __name__ == "__main__":
    main()
