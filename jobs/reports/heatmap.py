"""The confusion matrix as a heat map: which classes, in which order, how dark.

Classes that are confused stand together: average linkage over 1 - the share of each other's rows that is confused.
Beyond 25 classes it has those of the most frequent mistakes, and the rest is one column.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.documents.version_figures import Pair
from metrics.figure import ratio

MOST = 25


def make_heat_map(pairs: Sequence[Pair]) -> dict[str, Any]:
    """{"names", "rows": [{"label", "cells": [(count, share of the row, right)], "others", "total"}], "turned", "omitted"}."""
    known = {name for pair in pairs for name in (pair["label"], pair["predicted"])}
    chosen = _choose_classes(pairs, known)
    names = sorted(chosen)
    place = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), np.int64)
    others = np.zeros(len(names), np.int64)
    for pair in pairs:
        row, column = place.get(pair["label"]), place.get(pair["predicted"])
        if row is not None and column is not None:
            table[row, column] += pair["count"]
        elif row is not None:
            others[row] += pair["count"]
    order = cluster(table)
    rows = [_row(names[i], table[i, order].tolist(), int(others[i]), order.index(i)) for i in order]
    return {"names": [names[i] for i in order], "rows": rows, "omitted": len(known) - len(chosen),
            "others": bool(others.any()), "turned": max(map(len, names), default=0) > 3}


def _choose_classes(pairs: Sequence[Pair], known: set[str]) -> list[str]:
    """All classes, or the first 25 that the most frequent mistakes name."""
    if len(known) <= MOST:
        return sorted(known)
    chosen: dict[str, None] = {}
    for pair in sorted(pairs, key=lambda p: (p["label"] == p["predicted"], -p["count"], p["label"], p["predicted"])):
        chosen |= dict.fromkeys((pair["label"], pair["predicted"]))
        if len(chosen) >= MOST:
            break
    return list(chosen)[:MOST]


def _row(label: str, counts: list[int], others: int, diagonal: int) -> dict[str, Any]:
    total = sum(counts) + others
    cells = [(n, ratio(n, total), i == diagonal) for i, n in enumerate(counts)]
    return {"label": label, "cells": cells, "others": others, "total": total}


def cluster(table: NDArray[np.int64]) -> list[int]:
    """Orders the classes so that confused ones are neighbours; fewer than four stay as they are.

    Average linkage: the two groups whose classes are nearest on average join, turned so that the nearest ends meet. No
    library does it, as there are 25 classes at most, and loading one would take longer than the rest of a report.

    `table`: counts of shape (labels, predicted), over the same classes in the same order.
    """
    if len(table) < 4:
        return list(range(len(table)))
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    distance = 2 - (shares + shares.T)
    groups = [[i] for i in range(len(table))]
    while len(groups) > 1:
        one, other = min(combinations(range(len(groups)), 2), key=lambda two: _mean_distance(distance, groups, two))
        groups[one] = _join(distance, groups[one], groups.pop(other))
    return groups[0]


def _mean_distance(distance: NDArray[np.float64], groups: Sequence[list[int]], two: tuple[int, int]) -> float:
    return float(distance[np.ix_(groups[two[0]], groups[two[1]])].mean())


def _join(distance: NDArray[np.float64], one: list[int], other: list[int]) -> list[int]:
    """Puts two groups side by side, each as it is or turned round, so that the ends that meet are nearest."""
    ways = [(a, b) for a in (one, one[::-1]) for b in (other, other[::-1])]
    left, right = min(ways, key=lambda way: distance[way[0][-1], way[1][0]])
    return [*left, *right]
