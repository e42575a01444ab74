"""Which of many unlabelled pictures to label next: a pure function of how sure the model is of them and of how they look.

The pictures are clustered by k-means over their embeddings, weighted by how unsure the model is of each, into as many clusters
as pictures are wanted; of each cluster the picture nearest to its centre is taken. So each one that is chosen represents many
that the model is unsure of, and no two represent the same (benchmarks/picks.py compares this with the least sure and others).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from inference.model.perceptual_hash import popcount

MOST_ITERATIONS = 25  # of k-means
TOGETHER = 4096  # pictures whose distances are in memory at once


def choose(look: np.ndarray, unsure: np.ndarray, near: np.ndarray, items: int, seed: int, near_bits: int) -> list[int]:
    """Chooses at most `items` places, the one of the weightiest cluster first; the same input and seed, the same places.

    `look` [n, size]: an embedding of each picture; `unsure` [n], >= 0: its weight; `near` [n], int64: perceptual hashes. Of
    pictures whose hashes are within `near_bits` one comes, so there may be fewer than `items`.
    """
    if items < 1 or not len(look):
        return []
    weight = unsure if unsure.sum() > 0 else np.ones(len(look))
    centres = _find_centres(look, weight, min(items, len(look)), np.random.default_rng(seed))
    cluster, squares = _assign(look, centres)
    total = np.bincount(cluster, weight, len(centres))
    taken = _Taken(near, near_bits)
    for k in np.argsort(-total, kind="stable").tolist():
        mine = np.flatnonzero(cluster == k)
        taken.take_first(mine[np.argsort(squares[mine], kind="stable")])
    if len(taken.places) < items:  # clusters that were empty, or had nearly the same picture
        taken.take_all(np.argsort(-weight, kind="stable"), items)
    return taken.places


class _Taken:
    """Places that were taken, and those that may still be."""

    def __init__(self, near: np.ndarray, bits: int) -> None:
        self.places: list[int] = []
        self._near, self._bits, self._open = near, bits, np.ones(len(near), bool)

    def take_first(self, places: np.ndarray) -> bool:
        """Takes the first of some places that is not nearly one that was taken; says whether there is one."""
        left = places[self._open[places]]
        if len(left):
            self.places.append(int(left[0]))
            self._open &= find_far(self._near, [int(self._near[left[0]])], self._bits)
            self._open[left[0]] = False
        return bool(len(left))

    def take_all(self, places: np.ndarray, most: int) -> None:
        """Takes places in order until `most` are taken."""
        while len(self.places) < most and self.take_first(places):
            pass


def _find_centres(look: np.ndarray, weight: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Finds float64 [k, size] by weighted k-means, from a start by k-means++ (D. Arthur, S. Vassilvitskii, SODA 2007)."""
    centres = _start(look, weight, clusters, rng)
    before = np.empty(0, np.int64)
    for _ in range(MOST_ITERATIONS):
        cluster, _ = _assign(look, centres)
        if np.array_equal(cluster, before):
            break
        centres, before = _move(look, weight, cluster, centres), cluster
    return centres


def _start(look: np.ndarray, weight: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Draws pictures, each in proportion to its weight times its squared distance from the nearest that was drawn; fewer where
    all that are left lie at one that was."""
    drawn = [_draw(weight, rng)]
    squares = ((look - look[drawn[0]]) ** 2).sum(1)
    while len(drawn) < clusters and (weight * squares).sum() > 0:
        drawn.append(_draw(weight * squares, rng))
        squares = np.minimum(squares, ((look - look[drawn[-1]]) ** 2).sum(1))
    return look[drawn].astype(np.float64)


def _draw(pull: np.ndarray, rng: np.random.Generator) -> int:
    sums = pull.cumsum()
    return int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))


def _assign(look: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds each picture's nearest centre, and the squared distance to it."""
    own = (centres ** 2).sum(1)
    cluster, squares = np.empty(len(look), np.int64), np.empty(len(look))
    for start in range(0, len(look), TOGETHER):
        some = look[start:start + TOGETHER]
        distances = own - 2 * some @ centres.T
        nearest = distances.argmin(1)
        cluster[start:start + TOGETHER] = nearest
        squares[start:start + TOGETHER] = distances[np.arange(len(some)), nearest] + (some ** 2).sum(1)
    return cluster, squares


def _move(look: np.ndarray, weight: np.ndarray, cluster: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Moves each centre to the weighted mean of its pictures; one whose pictures weigh nothing stays."""
    total = np.bincount(cluster, weight, len(centres))
    moved = centres.copy()
    for k in np.flatnonzero(total).tolist():
        mine = cluster == k
        moved[k] = weight[mine] @ look[mine] / total[k]
    return moved


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
