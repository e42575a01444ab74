"""What a fit of labelers finds, in made crowds whose truth is known: labels that are right, and how often people are.

    python -m benchmarks.labelers_simulated [--runs 100]         4,000 for the log

A run: 300 pictures of four classes, four votes on each, ten people who are right in 45 to 97% of cases. `independent`: as the
model assumes. `one way`: wrong answers lean to the first class, in each person by another share. `copied`: three people
give the same answer to a picture, whatever it is, as who learnt the same mistakes do.
"""

import argparse
import sys
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from benchmarks.timed import table
from metrics.labelers.figures import count_right, tabulate_labelers
from metrics.labelers.form import alternate
from metrics.labelers.full import Full
from metrics.labelers.one_coin import OneCoin
from metrics.labelers.votes import Block, Index

ITEMS, PEOPLE, CLASSES, VOTES, SMOOTHING = 300, 10, 4, 4, 0.01
CROWDS = ("independent", "one way", "copied")


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=100)
    given = parser.parse_args(argv)
    rows: list[tuple[str, ...]] = [
        ("crowd", "labels right: majority", "one-coin", "full", "error of accuracies: majority", "one-coin", "full")]
    for crowd in CROWDS:
        found = np.array([list(play(crowd, seed)) for seed in range(given.runs)]).mean(axis=0)
        rows.append((crowd, *(f"{100 * share:.1f}%" for share in found[0::2]), *(f"{100 * e:.1f} points" for e in found[1::2])))
    print(f"{given.runs:,} runs; errors are means of absolute ones\n{table(rows)}")
    return 0


def play(crowd: str, seed: int) -> Iterator[float]:
    """Yields of majority, one-coin and full form the share of labels that are right, and the mean error of accuracies."""
    rng = np.random.default_rng([seed, CROWDS.index(crowd)])
    truth, skill, who, said = make_votes(crowd, rng)
    votes = pa.table({"item": np.repeat(np.arange(ITEMS), VOTES).astype(np.int32), "labeler": [f"p{w}" for w in who],
                      "label": [f"c{s}" for s in said]})
    index = Index.of([votes])
    block = index.encode(votes)
    given = np.bincount(index.labeler[block.pair], minlength=PEOPLE).astype(float)
    named = np.zeros((ITEMS, CLASSES))
    np.add.at(named, (block.item, index.label[block.pair]), 1)
    chances = named + np.random.default_rng(seed).random(named.shape) * 1e-6  # ties by chance
    yield from judge(chances, named, truth, skill, count_agreeing(index, block, chances.argmax(axis=1)) / given)
    coin = OneCoin(index, given, SMOOTHING)
    fitted = alternate(coin, lambda p: coin.expect(block, p), None, 100, 1e-6, len(who))
    people = tabulate_labelers(index, given, fitted.sums.votes, SMOOTHING)
    weights = np.zeros((ITEMS, CLASSES))
    np.add.at(weights, (block.item, index.label[block.pair]), people["weight"].to_numpy()[1:][index.labeler[block.pair]])
    yield from judge(weights, named, truth, skill, people["accuracy"].to_numpy()[1:])
    full = Full(index, SMOOTHING)
    fitted = alternate(full, lambda p: full.expect(block, p), None, 100, 1e-6, len(who))
    people = tabulate_labelers(index, given, count_right(index, fitted.sums.votes), SMOOTHING)
    yield from judge(full.find_chances(block, fitted.parameters)[0], named, truth, skill, people["accuracy"].to_numpy()[1:])


def make_votes(crowd: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns (the class of each picture, how often each person is right, who gave each vote, and what it says)."""
    truth, skill = rng.integers(0, CLASSES, ITEMS), rng.uniform(0.45, 0.97, PEOPLE)
    who = np.argsort(rng.random((ITEMS, PEOPLE)), axis=1)[:, :VOTES]
    answers = (truth[:, None] + rng.integers(1, CLASSES, (ITEMS, PEOPLE))) % CLASSES
    if crowd == "one way":
        answers = np.where((rng.random((ITEMS, PEOPLE)) < rng.random(PEOPLE)) & (truth[:, None] != 0), 0, answers)
    answers = np.where(rng.random((ITEMS, PEOPLE)) < skill, truth[:, None], answers)
    if crowd == "copied":
        answers[:, 1:3], skill[1:3] = answers[:, :1], skill[0]
    return truth, skill, who.ravel(), np.take_along_axis(answers, who, axis=1).ravel()


def judge(chances: np.ndarray, named: np.ndarray, truth: np.ndarray, skill: np.ndarray, found: np.ndarray) -> Iterator[float]:
    """Yields the share of right labels, of those that somebody named, and the mean error of accuracies."""
    label = np.where(named > 0, chances, -1).argmax(axis=1)
    yield float((label == truth).mean())
    yield float(np.abs(found - skill).mean())


def count_agreeing(index: Index, block: Block, label: np.ndarray) -> np.ndarray:
    """Counts the votes of each labeler that name the label of their picture."""
    agrees = index.label[block.pair] == label[block.item]
    return np.bincount(index.labeler[block.pair], agrees, PEOPLE)


if __name__ == "__main__":
    sys.exit(main())
