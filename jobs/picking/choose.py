"""Which of many unlabelled pictures to label next: a pure function of how unsure the model is of them and of how they look.

A picture with a label stands for those that look like it. Taken is, again and again, the picture that adds most to how well all
are stood for, where each has a weight; pictures that have labels stand for others from the start. So what is chosen stands for
much that the model does not know, and no two stand for the same (benchmarks/picks.py compares this with others). After W. Bae,
G. L. Oliveira, D. J. Sutherland, "Uncertainty Herding: One Active Learning Method for All Label Budgets" (ICLR 2025).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from inference.model.perceptual_hash import popcount

REACH = 0.32  # of 1 - cosine, at which a picture stands for another by 1/e
TOGETHER = 64  # pictures that are compared with all others at once


def weigh(unsure: np.ndarray, learnt: bool) -> np.ndarray:
    """Weighs pictures by how unsure a version is of them, in [0, 1]; all alike where it learnt from none of their kind: then its
    doubt misleads (the cold start of active learning)."""
    return unsure if learnt else np.ones(len(unsure))


def choose(look: np.ndarray, weight: np.ndarray, near: np.ndarray, items: int, near_bits: int,
           known: np.ndarray | None = None) -> list[int]:
    """Chooses at most `items` places, the one that adds most first: fewer items are the beginning of more.

    `look` [n, size]: an embedding of each picture; `weight` [n], >= 0; `near` [n], int64: perceptual hashes; `known` [m, size]:
    embeddings of pictures that have labels. Of pictures whose hashes are within `near_bits` one comes, so there may
    be fewer than `items`.
    """
    if items < 1 or not len(look):
        return []
    cover = _Cover(look, weight if weight.any() else np.ones(len(look)), look[:0] if known is None else known)
    left = np.ones(len(look), bool)
    chosen = list[int]()
    while len(chosen) < items and left.any():
        place = cover.take_best(left)
        chosen.append(place)
        left &= find_far(near, [int(near[place])], near_bits)
        left[place] = False
    return chosen


class _Cover:
    """How well each picture is stood for: 0 by none, up to 1 by one that looks the same."""

    def __init__(self, look: np.ndarray, weight: np.ndarray, known: np.ndarray) -> None:
        both = _centre(np.concatenate([look, known]))
        self._look, self._weight = both[:len(look)], weight
        self._covered = np.zeros(len(look))
        for start in range(len(look), len(both), TOGETHER):
            self._cover(both[start:start + TOGETHER])
        self._gains = np.concatenate([self._find_gains(np.arange(start, min(start + TOGETHER, len(look))))
                                      for start in range(0, len(look), TOGETHER)])

    def take_best(self, left: np.ndarray) -> int:
        """Takes the place that adds most, of those that are left (bool [n]).

        What a picture adds only falls, so a gain of before is a bound: most pictures need not be compared again.
        """
        stale = left.copy()
        while stale[best := int(np.where(left, self._gains, -1).argmax())]:
            some = np.flatnonzero(stale)
            some = some[np.argsort(-self._gains[some], kind="stable")[:TOGETHER]]
            self._gains[some] = self._find_gains(some)
            stale[some] = False
        self._cover(self._look[best:best + 1])
        return best

    def _cover(self, others: np.ndarray) -> None:
        self._covered = np.maximum(self._covered, self._compare(others).max(1))

    def _find_gains(self, places: np.ndarray) -> np.ndarray:
        return self._weight @ np.maximum(self._compare(self._look[places]) - self._covered[:, None], 0)

    def _compare(self, others: np.ndarray) -> np.ndarray:
        """How alike each picture is to each of some others: float64 [n, others], 1 for itself."""
        return np.exp((self._look @ others.T - 1) / REACH)


def _centre(look: np.ndarray) -> np.ndarray:
    """Directions from the mean, of length 1: what all pictures have in common, and how strong it is, says nothing."""
    moved = look - look.mean(0)
    return moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), np.finfo(float).tiny)


def make_look_of_hashes(near: np.ndarray) -> np.ndarray:
    """Makes `look` of perceptual hashes, where there are no embeddings: float64 [n, 64], +1 and -1."""
    bits = np.unpackbits(near.astype(">i8").view(np.uint8).reshape(-1, 8), axis=1)
    return bits.astype(np.float64) * 2 - 1


def find_far(near: np.ndarray, from_: Collection[int], bits: int) -> np.ndarray:
    """Says of each perceptual hash whether it is farther than `bits` from all of `from_`: bool [n]."""
    far = np.ones(len(near), bool)
    words = near.astype(np.int64).view(np.uint64)
    for other in np.fromiter(from_, np.int64, len(from_)).view(np.uint64):
        far &= popcount(words ^ other) > bits
    return far


def take_from_each(unsure: np.ndarray, predicted: Sequence[str], most: int) -> list[int]:
    """Takes at most `most` places: the least sure of each predicted label, then the next of each, and so on.

    So a label that is rarely predicted has its part.
    """
    turn: dict[str, int] = {}
    ranked = []
    for place in np.argsort(-unsure, kind="stable").tolist():
        ranked.append((turn.get(predicted[place], 0), -float(unsure[place]), place))
        turn[predicted[place]] = ranked[-1][0] + 1
    return [place for _, _, place in sorted(ranked)[:most]]
