"""Per predicted class and confidence bucket: how many labelled predictions there are, and how many are incorrect or split."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from contract.counts import BINS, sum_by
from metrics.calibration import edges_of
from metrics.figure import ratio

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = ("predicted", "confidence_bin", "label", "split")


class Checked(TypedDict):
    """Labelled predictions of one class between two confidences; both null: all of them, those without a confidence, too.

    `split`: those whose deciding labels differ, which are incorrect where that was asked for. `correct`: the share, null of none.
    """

    version: str
    predicted: str
    low: float | None
    high: float | None
    count: int
    incorrect: int
    split: int
    correct: float | None


def check_by_class(tables: Sequence["pa.Table"], version: str, edges: Sequence[float], *, split_wrong: bool) -> list[Checked]:
    """Counts a version's labelled predictions from cells (contract.counts.CELLS), by predicted label in the order of its bytes.

    `edges`: between buckets, multiples of 0.05; 0 and 1 are added. UsageError for others.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    bounds = edges_of(edges)
    if not tables:
        return []
    cells = pa.concat_tables(tables)
    mine = pc.and_(pc.equal(cells["model_version"], version), pc.is_valid(cells["label"]))
    places = np.searchsorted([round(edge * BINS) for edge in bounds], np.arange(BINS), side="right") - 1
    found: dict[str, np.ndarray] = {}
    for row in sum_by(cells.filter(mine), KEYS).to_pylist():
        counts = found.setdefault(row["predicted"], np.zeros((len(bounds), 3), np.int64))  # the last row: all
        wrong = row["label"] != row["predicted"] or (split_wrong and bool(row["split"]))
        added = row["n"] * np.array([1, wrong, bool(row["split"])])
        counts[-1] += added
        if row["confidence_bin"] is not None:
            counts[places[row["confidence_bin"]]] += added
    return [_make_row(version, name, bounds, k, counts) for name, counts in sorted(found.items()) for k in range(len(bounds))]


def _make_row(version: str, name: str, bounds: Sequence[float], k: int, counts: np.ndarray) -> Checked:
    n, wrong, split = counts[k].tolist()
    whole = k == len(bounds) - 1
    return {"version": version, "predicted": name, "low": None if whole else bounds[k], "high": None if whole else bounds[k + 1],
            "count": n, "incorrect": wrong, "split": split, "correct": ratio(n - wrong, n, None)}


def group_by_class(rows: Sequence[Checked]) -> Mapping[str, list[Checked]]:
    """The rows of each class, in their order: its buckets, then all."""
    grouped: dict[str, list[Checked]] = {}
    for row in rows:
        grouped.setdefault(row["predicted"], []).append(row)
    return grouped
