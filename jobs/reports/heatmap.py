"""The confusion as a square: which classes, in which order, how dark.

Classes that are confused stand together: average linkage over 1 - the share of each other's rows that is confused, with
the leaves in their best order. Beyond 25 classes the square holds those of the most frequent mistakes, and the rest is
one column.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.documents.version_figures import Pair
from metrics.figure import ratio

MOST = 25


def heat_map(pairs: Sequence[Pair]) -> dict[str, Any]:
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

    `table`: counts of shape (labels, predicted), over the same classes in the same order.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(table) < 4:
        return list(range(len(table)))
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    near = shares + shares.T
    distance = 2 - near
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return leaves_list(tree).tolist()
