"""Drift of what is predicted, between two sets of cells: needs no labels.

PSI = sum (p - q) ln(p / q), and the Jensen-Shannon divergence in bits (0 to 1), of predicted classes and of confidence
bins. Each stands beside its 95% value when nothing changed at these sizes, simulated with a fixed seed. Classes beyond
the 200 most frequent are one, half a count is added to each for PSI (rare classes would make it infinite).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from contract.counts import BINS, DayCounts, add
from contract.documents.evaluation import Divergence
from metrics.intervals import SEED

if TYPE_CHECKING:
    import pyarrow as pa

MOST_CLASSES = 200
REPLICATES = 400
ONE_DAY = "fewer than two days have predictions of it"


class Divergences(TypedDict):
    """The divergence of what was predicted and of how confident that was, by the names that they have in a document."""

    predicted: Divergence
    confidence: Divergence


def drift(reference: "pa.Table", current: "pa.Table") -> Divergences:
    """`predicted` and `confidence`: {"psi", "psi_95", "js", "js_95"} between two Arrow tables of cells, or of what these have
    in the columns (predicted, confidence_bin, n)."""
    return {"predicted": compare(*_align(*(_by_class(t) for t in (reference, current)))),
            "confidence": compare(_by_bin(reference), _by_bin(current))}


def compare(reference: np.ndarray, current: np.ndarray) -> Divergence:
    """PSI and JS of two rows of counts over the same categories; null with a reason when one is empty."""
    sizes = int(reference.sum()), int(current.sum())
    if not all(sizes):
        return {"psi": None, "psi_95": None, "js": None, "js_95": None, "js_low": None, "js_high": None,
                "reason": "one side has no predictions"}
    rng = np.random.default_rng(SEED)
    pooled = (reference + current) / sum(sizes)
    a, b = (rng.multinomial(n, pooled, REPLICATES) for n in sizes)
    js, js_95 = float(jensen_shannon(reference, current)), float(np.quantile(jensen_shannon(a, b), 0.95))
    interval = divergence_figure(js, js_95)
    return {"psi": float(psi(reference, current)), "psi_95": float(np.quantile(psi(a, b), 0.95)), "js": js, "js_95": js_95,
            "js_low": interval["low"], "js_high": interval["high"]}


def divergence_figure(js: float, js_95: float) -> dict[str, float]:
    """Returns the figure of a Jensen-Shannon divergence: what it may be when chance alone moves it by up to `js_95`.

    The square root of the divergence is a distance, so chance moves that by its own at most (triangle inequality).
    """
    distance, chance = js**0.5, js_95**0.5
    return {"value": js, "low": max(distance - chance, 0.0) ** 2, "high": (distance + chance) ** 2}


def newest_day_of(days: Sequence[DayCounts], version: str) -> dict[str, Any]:
    """Returns the drift of the predicted classes of a version's newest `day` from its days before, or a reason."""
    import pyarrow.compute as pc

    cells = [day.tables["cells"].filter(pc.equal(day.tables["cells"]["model_version"], version)) for day in days]
    filled = [i for i, table in enumerate(cells) if table.num_rows]
    if len(filled) < 2:
        return {"js": None, "js_95": None, "reason": ONE_DAY}
    before = add(days[i] for i in filled[:-1])[0]["cells"]
    before = before.filter(pc.equal(before["model_version"], version))
    return drift(before, cells[filled[-1]])["predicted"] | {"day": days[filled[-1]].day}


def psi(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Population stability index along the last axis, half a count added to every category."""
    p, q = ((x + 0.5) / (x + 0.5).sum(-1, keepdims=True) for x in (a, b))
    return ((p - q) * np.log(p / q)).sum(-1)


def jensen_shannon(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the Jensen-Shannon divergence in bits along the last axis.

    It is the square of scipy.spatial.distance.jensenshannon(a, b, 2, axis=-1), and a test compares them; importing
    scipy.spatial for these three lines would slow down the start of every evaluation.
    """
    p, q = (x / x.sum(-1, keepdims=True) for x in (a, b))
    middle = (p + q) / 2
    return (_kl(p, middle) + _kl(q, middle)) / 2


def _kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.where(p > 0, p * np.log2(np.where(p > 0, p, 1) / np.where(p > 0, q, 1)), 0).sum(-1)


def _by_class(table: "pa.Table") -> dict[str, int]:
    grouped = table.group_by("predicted").aggregate([("n", "sum")])
    return dict(zip(grouped.column("predicted").to_pylist(), grouped.column("n_sum").to_pylist(), strict=True))


def _align(a: dict[str, int], b: dict[str, int]) -> tuple[np.ndarray, ...]:
    names = sorted(a.keys() | b.keys(), key=lambda name: (-a.get(name, 0) - b.get(name, 0), name))
    rows = np.array([[side.get(name, 0) for name in names] for side in (a, b)])
    rest = rows[:, MOST_CLASSES:].sum(1, keepdims=True)
    return tuple(np.hstack([rows[:, :MOST_CLASSES], rest] if rest.any() else [rows]))


def _by_bin(table: "pa.Table") -> np.ndarray:
    import pyarrow.compute as pc

    bins = pc.fill_null(table.column("confidence_bin").cast("int64"), BINS).to_numpy()
    return np.bincount(bins, table.column("n").to_numpy(), BINS + 1).astype(np.int64)[:BINS]
