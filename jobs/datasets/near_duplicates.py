"""Which training pictures are nearly the same as a held-out one, by their perceptual hashes."""

from collections.abc import Sequence

import numpy as np

from inference.model.perceptual_hash import BITS, popcount

BLOCK = 4_000_000  # pairs compared at a time: 32 MB


def find_near(of: Sequence[int], among: Sequence[int], bits: int) -> np.ndarray:
    """For each hash in `of` the place of one in `among` within `bits` bits (the closest, then the first), or -1.

    By the pigeonhole principle two such hashes agree in one of bits + 1 parts, so only those pairs are compared.
    """
    hashes, held = (np.asarray(x, np.int64).view(np.uint64) for x in (of, among))
    place, distance = np.full(len(hashes), -1, np.int64), np.full(len(hashes), bits + 1, np.int64)
    for low, width in _parts(bits + 1):
        mask = np.uint64((1 << width) - 1)
        mine, theirs = ((x >> np.uint64(low)) & mask for x in (hashes, held))
        _compare(hashes, held, mine, theirs, place, distance)
    return place


def _parts(n: int) -> list[tuple[int, int]]:
    edges = [BITS * i // n for i in range(n + 1)]
    return [(a, b - a) for a, b in zip(edges, edges[1:], strict=False)]


def _compare(hashes: np.ndarray, held: np.ndarray, mine: np.ndarray, theirs: np.ndarray, place: np.ndarray,
             distance: np.ndarray) -> None:
    order = np.argsort(theirs, kind="stable")
    first, last = (np.searchsorted(theirs[order], mine, side) for side in ("left", "right"))
    ends = np.cumsum(last - first)
    start = 0
    while start < len(hashes):
        stop = max(int(np.searchsorted(ends, (ends[start - 1] if start else 0) + BLOCK, "right")), start + 1)
        counts = (last - first)[start:stop]
        a = np.repeat(np.arange(start, stop), counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        b = order[np.repeat(first[start:stop], counts) + within]
        _keep_closest(a, b, popcount(hashes[a] ^ held[b]), place, distance)
        start = stop


def _keep_closest(a: np.ndarray, b: np.ndarray, found: np.ndarray, place: np.ndarray, distance: np.ndarray) -> None:
    best = np.lexsort((b, found, a))
    a, b, found = a[best], b[best], found[best]
    first = np.ones(len(a), bool)
    first[1:] = a[1:] != a[:-1]
    a, b, found = a[first], b[first], found[first]
    better = (found < distance[a]) | ((found == distance[a]) & (place[a] >= 0) & (b < place[a]))
    place[a[better]], distance[a[better]] = b[better], found[better]
