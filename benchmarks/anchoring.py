"""What blind repeats find: coverage, false alarms and power of the anchoring figure, and of feedback against audit.

    nice python -m benchmarks.anchoring [--runs 500] [--seed 1] [--json]        4,000 runs: half a minute

People err by chance, each at a rate of their own, and with the model's answer in sight follow it in a share of the cases in
which they would have said something else. The last table is what a comparison between people makes of the same.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np

from metrics.intervals import newcombe
from metrics.selection.anchoring import BothWays, count_needed
from metrics.selection.feedback_bias import Told

ACCURACY, CLASSES = 0.9, 10
ALIKE, APART = ((1.0, 0.04),), ((0.5, 0.02), (0.5, 0.12))  # people: (share of the reviews, rate of errors)
NONE = BothWays(0, 0, 0, 0)
# people, pairs, planted points
CASES = {f"{name}, {pairs} pairs, {100 * points:g} points": (people, pairs, points) for name, people in
         (("errors of 4%", ALIKE), ("2% and 12%", APART)) for pairs in (100, 300) for points in (0.0, 0.03, 0.06)}


def main(argv: list[str] | None = None) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("runs", 500), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    rng = np.random.default_rng(given.seed)
    found = {"repeats": {name: cover_repeats(*case, given.runs, rng) for name, case in CASES.items()},
             "power": {f"{100 * points:g} points": power_of_needed(points, given.runs, rng) for points in (0.03, 0.06, 0.1)},
             "feedback": {name: cover_feedback(uneven, given.runs, rng) for name, uneven in (("even audit", False),
                                                                                             ("uneven audit", True))},
             "between people": compare_people(given.runs, rng)}
    print(json.dumps(found) if given.json else text(found, given.runs))
    return 0


def agree_blind(error: float) -> tuple[float, float]:
    """P(label agrees with the model) of a person with this rate of errors, where the model is right and where it is wrong."""
    return 1 - error, error / (CLASSES - 1)


def follow(people: Any, points: float) -> float:
    """In which share of the cases people must follow the model for so many points, on average over their reviews."""
    would_not = sum(part * (ACCURACY * (1 - agree_blind(e)[0]) + (1 - ACCURACY) * (1 - agree_blind(e)[1])) for part, e in people)
    return float(points / would_not)


def draw_pairs(people: Any, pairs: int, points: float, runs: int, rng: np.random.Generator) -> list[BothWays]:
    """Draws the answers of `runs` runs; errors of the two answers are independent, which takes most pairs."""
    share, rates = np.array([p for p, _ in people]), np.array([agree_blind(e) for _, e in people])
    who, wrong = rng.choice(len(people), (runs, pairs), p=share), (rng.random((runs, pairs)) > ACCURACY).astype(int)
    would = rates[who, wrong]
    blind, seen = rng.random((runs, pairs)) < would, rng.random((runs, pairs)) < would
    seen |= rng.random((runs, pairs)) < follow(people, points)
    counts = zip((seen & blind).sum(1), (seen & ~blind).sum(1), (~seen & blind).sum(1), (~seen & ~blind).sum(1), strict=True)
    return [BothWays(*map(int, row)) for row in counts]


def cover_repeats(people: Any, pairs: int, points: float, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """Shares of the runs in which the interval covers what was planted, lies above 0, and below 0."""
    figures = [found.added() for found in draw_pairs(people, pairs, points, runs, rng)]
    low, high = np.array([f["low"] for f in figures], float), np.array([f["high"] for f in figures], float)
    return {"covered": float(((low <= points) & (points <= high)).mean()), "found": float((low > 0).mean()),
            "found the other way": float((high < 0).mean()),
            "mean": float(np.array([f["value"] for f in figures], float).mean())}


def power_of_needed(points: float, runs: int, rng: np.random.Generator) -> dict[str, Any]:
    """How often so many points are found with the reviews that are said to be needed before there is any, at 5% of repeats."""
    needed = count_needed(points, NONE, 0.05)
    drawn = draw_pairs(APART, int(needed["pairs"] or 0), points, runs, rng)
    return {"reviews": needed["reviews"], "pairs": needed["pairs"], "found": float(np.mean([d.is_found() for d in drawn]))}


def cover_feedback(uneven: bool, runs: int, rng: np.random.Generator, n: int = 2000) -> dict[str, float]:
    """Coverage of `bias` and `judges`: 2% of right and 30% of wrong answers get feedback, 5% and 10% of it the other way.

    `uneven`: wrong answers are twice as likely to be audited as right ones are, and 1 / p weighs.
    """
    by_right, by_wrong = (0.02, 0.05), (0.3, 0.1)  # (gets feedback, which says the opposite)
    told_right, told_wrong = ACCURACY * by_right[0], (1 - ACCURACY) * by_wrong[0]
    truth = (told_right * (1 - by_right[1]) + told_wrong * by_wrong[1]) / (told_right + told_wrong) - ACCURACY
    covered = np.zeros(2)
    for _ in range(runs):
        right = rng.random(2 * n if uneven else n) < ACCURACY
        p = np.where(right, 0.4, 0.8) if uneven else np.full(len(right), 0.5)
        if uneven:
            asked = rng.random(len(right)) < p
            right, p = right[asked], p[asked]
        given = rng.random(len(right)) < np.where(right, by_right[0], by_wrong[0])
        turned = rng.random(len(right)) < np.where(right, by_right[1], by_wrong[1])
        told = Told(right, np.where(given, right ^ turned, np.nan), p)
        expected = (told.right * by_right[0] * -by_right[1] + ~told.right * by_wrong[0] * by_wrong[1]).sum() / (
            (told.right * by_right[0] + ~told.right * by_wrong[0]).sum())
        shown = ((told.bias(), truth), (told.judges(), expected))
        covered += [float(figure["low"] or 0) <= value <= float(figure["high"] or 0) for figure, value in shown]
    return {"bias covered": float(covered[0] / runs), "judges covered": float(covered[1] / runs), "true bias": truth}


def compare_people(runs: int, rng: np.random.Generator) -> dict[str, float]:
    """No effect at all, and two people who err in 2% and 12%: one does 3/4 of the reviews, the other 3/4 of the audits.

    What reviews and audits of different people show, 6,000 and 1,000 of them, beside what repeats show.
    """
    rates = np.array([ACCURACY * agree_blind(e)[0] + (1 - ACCURACY) * agree_blind(e)[1] for e in (0.02, 0.12)])
    seen = rng.binomial(6000, rates @ [0.75, 0.25], runs)
    blind = rng.binomial(1000, rates @ [0.25, 0.75], runs)
    between = [newcombe(int(a), 6000, int(b), 1000) for a, b in zip(seen, blind, strict=True)]
    within = cover_repeats(((0.75, 0.02), (0.25, 0.12)), 300, 0.0, runs, rng)
    return {"between: points": float((seen / 6000 - blind / 1000).mean()),
            "between: found": float(np.mean([low > 0 for low, _ in between])),
            "within: points": within["mean"], "within: found": within["found"]}


def text(found: dict[str, Any], runs: int) -> str:
    """The tables for people."""
    lines = [f"{runs:,} runs, model right in {ACCURACY:.0%}", "", f"{'repeats':<34}{'covered':>9}{'found':>9}{'other way':>11}"]
    lines += [f"{name:<34}{r['covered']:>9.1%}{r['found']:>9.1%}{r['found the other way']:>11.1%}"
              for name, r in found["repeats"].items()]
    lines += ["", f"{'said before there is any':<34}{'reviews':>9}{'pairs':>9}{'found':>11}"]
    lines += [f"{name:<34}{r['reviews']:>9,}{r['pairs']:>9,}{r['found']:>11.1%}" for name, r in found["power"].items()]
    lines += ["", f"{'feedback against audit':<34}{'bias':>9}{'judges':>9}{'true bias':>11}"]
    lines += [f"{name:<34}{r['bias covered']:>9.1%}{r['judges covered']:>9.1%}{100 * r['true bias']:>+11.1f}"
              for name, r in found["feedback"].items()]
    people = found["between people"]
    lines += ["", "no effect, two people who err in 2% and 12%: points shown, and how often that is called an effect"]
    lines += [f"{kind + ' people':<34}{100 * people[f'{kind}: points']:>+9.1f}{people[f'{kind}: found']:>9.1%}"
              for kind in ("between", "within")]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
