"""Nearly the same picture twice, under different labels: at least one of the two is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobs.datasets.near_duplicates import find_near


def find_conflicts(hashes: Sequence[int], given: np.ndarray, bits: int) -> dict[int, int]:
    """Finds for each row the nearest one within `bits` bits that has another label: place -> place.

    `hashes`: the signed 64 bits of each row's perceptual hash; `given`: its class, int64 [rows].
    """
    found: dict[int, int] = {}
    every = np.arange(len(given))
    for label in np.unique(given):
        mine, others = every[given == label], every[given != label]
        places = find_near([hashes[n] for n in mine], [hashes[n] for n in others], bits)
        found |= {int(n): int(others[place]) for n, place in zip(mine, places, strict=True) if place >= 0}
    return found
