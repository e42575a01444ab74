"""Whether the accuracy behind label noise covers the truth, and whether what breaks it is noticed.

    python -m benchmarks.label_noise [--runs 200] [--seed 1] [--json]        4,000 for the log

Made logs of 3,000 labelled predictions whose truth is known, judged blind by two or three people who are wrong in 10% of
their votes. `raw` is the plain share of votes that name the answer, `corrected` what metrics/noise/judge.py would say without
its checks, `noticed` how often the checks refuse it, and `shown` how often what is shown then covers. Kinds of noise:
independent (what the correction takes for granted), by class (2% on half of the classes, 18% on the others), and hard
pictures (a fifth, on which people are wrong in 40% and the model in 40%).
"""

import json
import sys
from typing import Any, NamedTuple

import numpy as np

from benchmarks.simulation import read_options
from metrics.noise.checks import find_failed, run_checks
from metrics.noise.gold import GoldVotes
from metrics.noise.judge import judge
from metrics.noise.rates import from_pairs, from_triples
from metrics.noise.votes import Votes, add_up, collect_votes

ITEMS, NOISE, ACCURACY, LEVEL = 3000, 0.1, 0.9, 0.95
GOLD = 400  # pictures whose class is known, where there are some


class World(NamedTuple):
    """A kind of noise, number of classes and of votes on each prediction, and whether there are gold items."""

    kind: str
    classes: int
    votes: int
    gold: bool = False
    items: int = ITEMS


WORLDS = (World("independent", 2, 2), World("independent", 10, 2), World("independent", 10, 2, items=400),
          World("independent", 10, 3), World("independent", 2, 3), World("by class", 2, 2, items=6000), World("by class", 10, 3),
          World("hard", 2, 2), World("hard", 2, 3), World("hard", 10, 2), World("hard", 10, 2, gold=True))


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    given = read_options(__doc__, argv, 200)
    rows = [simulate(world, given.runs, given.seed) for world in WORLDS]
    print(json.dumps(rows) if given.json else text(rows, given.runs))
    return 0


def simulate(world: World, runs: int, seed: int = 1) -> dict[str, Any]:
    """Shares of runs: whose raw, corrected and shown interval covers the truth, and whose checks refuse."""
    rng = np.random.default_rng(seed)
    found = [_run(world, rng) for _ in range(runs)]
    shown = [row["shown"] for row in found if row["shown"] is not None]
    names = sorted({name for row in found for name in row["failed"]})
    return {**world._asdict(), "runs": runs, **{key: float(np.mean([row[key] for row in found])) for key in
                                                  ("raw", "corrected", "ceiling", "noticed")},
            "given": len(shown) / runs, "shown": float(np.mean(shown)) if shown else None,
            "bias": float(np.mean([row["error"] for row in found])),
            "by": {name: sum(name in row["failed"] for row in found) / runs for name in names}}


def _run(world: World, rng: np.random.Generator) -> dict[str, Any]:
    votes, truth = draw_votes(world, rng)
    gold = draw_gold(world, rng) if world.gold else GoldVotes()
    moments = add_up(votes)
    rates = (from_triples if world.votes > 2 else from_pairs)(moments, LEVEL)
    if isinstance(rates, str):
        raise SystemExit(f"{world}: expected rates, got: {rates}")
    failed = find_failed(run_checks(moments, rates))
    judged = judge(votes, gold, LEVEL)
    return {"raw": _covers(judged.raw, truth), "corrected": _covers(rates.accuracy, truth),
            "ceiling": _covers(rates.ceiling, 1 - NOISE), "noticed": bool(failed), "failed": {check.name for check in failed},
            "shown": None if judged.method is None else _covers(judged.corrected, truth),
            "error": (rates.accuracy["value"] or 0) - truth}


def _covers(figure: Any, truth: float) -> bool:
    return bool(figure["low"] <= truth <= figure["high"])


def draw_votes(world: World, rng: np.random.Generator) -> tuple[Votes, float]:
    """Votes on predictions, and the accuracy that the model has."""
    truth, predicted, noise, confidence = _draw_items(world, world.items, rng)
    votes = _err(np.repeat(truth[:, None], world.votes, 1), noise[:, None], world.classes, rng)
    item = np.repeat(np.arange(world.items), world.votes)
    return collect_votes(world.classes, item, votes.ravel(), predicted, np.ones(world.items), confidence), ACCURACY


def draw_gold(world: World, rng: np.random.Generator) -> GoldVotes:
    """One blind vote on each of some pictures like the others, whose class is known."""
    truth, predicted, noise, _ = _draw_items(world, GOLD, rng)
    vote, right = _err(truth, noise, world.classes, rng), truth == predicted
    known, hit = vote == truth, vote == predicted
    return GoldVotes(int(right.sum()), int((right & known).sum()), int((~right).sum()), int((~right & hit).sum()),
                     int((~right & known).sum()))


def _draw_items(world: World, n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Truth, prediction, the rate at which votes are wrong, and the model's confidence."""
    truth = rng.integers(0, world.classes, n)
    noise, wrong, hard = np.full(n, NOISE), np.full(n, 1 - ACCURACY), np.zeros(n, bool)
    if world.kind == "by class":
        noise = np.where(truth < world.classes // 2, 0.02, 0.18)
    if world.kind == "hard":
        hard = rng.random(n) < 0.2
        noise, wrong = np.where(hard, 0.4, 0.025), np.where(hard, 0.4, 0.025)
    predicted = _err(truth, wrong, world.classes, rng)
    sure = rng.random(n) * np.where(predicted == truth, 1.0, 0.7) * np.where(hard, 0.7, 1.0)
    return truth, predicted, noise, sure


def _err(truth: np.ndarray, rate: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """The same classes, some of them replaced by another one, each alike."""
    return np.where(rng.random(truth.shape) < rate, (truth + rng.integers(1, classes, truth.shape)) % classes, truth)


def text(rows: list[dict[str, Any]], runs: int) -> str:
    """The rows as an aligned table."""
    lines = [f"{runs} made logs each; intervals of {LEVEL:.0%} that cover, in % of runs", "",
             f"{'noise':<12}{'items':>6}{'classes':>8}{'votes':>6}{'raw':>7}{'corrected':>11}{'ceiling':>9}{'bias':>8}{'noticed':>9}"
             f"{'shown':>8}{'covers':>8}  noticed by"]
    for row in rows:
        covers = "-" if row["shown"] is None else f"{row['shown']:.1%}"
        by = ", ".join(f"{name} {share:.0%}" for name, share in row["by"].items() if share >= 0.05)
        lines.append(f"{row['kind']:<12}{row['items']:>6}{row['classes']:>8}{row['votes']:>6}{row['raw']:>7.1%}"
                     f"{row['corrected']:>11.1%}{row['ceiling']:>9.1%}{row['bias']:>+8.4f}{row['noticed']:>9.1%}"
                     f"{row['given']:>8.1%}{covers:>8}  {by}{' (gold items)' if row['gold'] else ''}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
