"""Which of many unlabelled pictures to label next: a pure function of what was logged of them and of how they look.

A picture pulls at the last layer by its gradient, as if the answer were right: (probabilities - answer) x embedding. It is
long where the model is unsure, and two of them lie far apart where either what the model wavers between or what the pictures
look like differs. Pictures are drawn by k-means++ over these gradients (J. Ash et al., "Deep Batch Active Learning by Diverse,
Uncertain Gradient Lower Bounds", ICLR 2020). The gradients, classes x size long, are never made: the product of two is the
product of the probabilities' part times that of the embeddings'.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from inference.model.perceptual_hash import popcount


@dataclass(frozen=True)
class Pool:
    """Candidates in a fixed order, one row each.

    `unsure` [n, classes]: probabilities, minus 1 at the answer's class; what was not logged is 0. `look` [n, size]: the
    embedding, or +1 and -1 for the bits of the perceptual hash. `near` [n]: perceptual hashes, int64.
    """

    unsure: np.ndarray
    look: np.ndarray
    near: np.ndarray

    def square(self) -> np.ndarray:
        """Computes the squared length of each gradient, float64 [n]."""
        return np.asarray((self.unsure ** 2).sum(1) * (self.look ** 2).sum(1))

    def measure_from(self, place: int, squares: np.ndarray) -> np.ndarray:
        """Computes the squared distance of each gradient from that of one candidate, float64 [n], never below 0."""
        product = (self.unsure @ self.unsure[place]) * (self.look @ self.look[place])
        return np.maximum(squares + squares[place] - 2 * product, 0.0)


def make_unsure(answers: Sequence[tuple[str, Sequence[str], Sequence[float]]]) -> np.ndarray:
    """Makes `Pool.unsure` of (predicted label, top labels, their probabilities): float64 [n, labels that come]."""
    labels = sorted({label for predicted, top, _ in answers for label in (predicted, *top)})
    place = {label: k for k, label in enumerate(labels)}
    found = np.zeros((len(answers), len(labels)))
    for row, (predicted, top, probabilities) in zip(found, answers, strict=True):
        for label, p in zip(top, probabilities, strict=True):
            row[place[label]] = p
        row[place[predicted]] -= 1
    return found


def make_look_of_hashes(near: np.ndarray) -> np.ndarray:
    """Makes `Pool.look` of perceptual hashes, where there are no embeddings: float64 [n, 64], +1 and -1."""
    bits = np.unpackbits(near.astype(">i8").view(np.uint8).reshape(-1, 8), axis=1)
    return bits.astype(np.float64) * 2 - 1


def choose(pool: Pool, items: int, seed: int, near_bits: int) -> list[int]:
    """Chooses at most `items` places of the pool, in order; a larger number begins with the same ones.

    The first has the longest gradient; then each is drawn in proportion to its squared distance from the nearest that was chosen,
    and from 0. Of pictures whose perceptual hashes are within `near_bits` one comes. Fewer come when nothing that differs is left.
    """
    squares, rng, chosen = pool.square(), np.random.default_rng(seed), list[int]()
    if not len(squares) or items < 1:
        return chosen
    distance = squares.copy()  # from no gradient at all, which is what a sure answer has: it teaches nothing
    open_ = np.ones(len(squares), bool)
    place = int(squares.argmax())
    while True:
        chosen.append(place)
        open_ &= find_far(pool.near, [int(pool.near[place])], near_bits)
        distance = np.minimum(distance, pool.measure_from(place, squares))
        pull = np.where(open_, distance, 0.0)
        total = float(pull.sum())
        if len(chosen) >= items or total <= 0:
            return chosen
        place = int(np.searchsorted(pull.cumsum(), rng.random() * total, side="right"))


def find_far(near: np.ndarray, from_: Collection[int], bits: int) -> np.ndarray:
    """Says of each perceptual hash whether it is farther than `bits` from all of `from_`: bool [n]."""
    far = np.ones(len(near), bool)
    words = near.astype(np.int64).view(np.uint64)
    for other in np.fromiter(from_, np.int64, len(from_)).view(np.uint64):
        far &= popcount(words ^ other) > bits
    return far


def take_from_each(margin: np.ndarray, predicted: Sequence[str], most: int) -> list[int]:
    """Takes at most `most` places: the least sure of each predicted label, then the next of each, and so on.

    `margin` [n]: the first probability minus the second. So a label that is rarely predicted has its part.
    """
    turn: dict[str, int] = {}
    ranked = []
    for place in np.argsort(margin, kind="stable").tolist():
        ranked.append((turn.get(predicted[place], 0), float(margin[place]), place))
        turn[predicted[place]] = ranked[-1][0] + 1
    return [place for _, _, place in sorted(ranked)[:most]]
