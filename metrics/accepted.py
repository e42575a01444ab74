"""What the answers at or above their class's threshold are worth: how many there are, and how many of them are right."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from contract.counts import BINS, Origin
from contract.documents.version_figures import Estimate
from metrics.selection.basis import Basis
from metrics.selection.estimate import estimate
from metrics.selection.origin_sums import Sums, select_labelled, sums_by_origin

if TYPE_CHECKING:
    import pyarrow as pa


class Accepted(TypedDict):
    """`share` is a whole count divided, and needs no interval; `labelled` of the accepted ones have a label.

    `unsupported`: accepted ones at a confidence at which nobody has labelled an answer of their class.
    """

    predictions: int
    accepted: int
    share: float | None
    labelled: int
    unsupported: int
    accuracy: Estimate


def measure_accepted(cells: "pa.Table", thresholds: Mapping[str, float | None], bases: Mapping[Origin, Basis],
                     confidence: float) -> Accepted:
    """Measures what thresholds accept (predicted label -> threshold; None: nothing).

    `cells` are those of all days (contract.counts.CELLS), `bases` what the labels of an origin rest on. The labels are
    those that chose the thresholds, so the accuracy flatters; an audit drawn afterwards does not.
    """
    mask = find_accepted(cells, thresholds)
    accepted = cells.filter(mask)
    origins: dict[str, Sums] = {}
    for of_version in sums_by_origin(accepted).values():
        for origin, sums in of_version.items():
            origins[origin] = origins.get(origin, Sums()) + sums
    total, taken = _count(cells), _count(accepted)
    return {"predictions": total, "accepted": taken, "share": taken / total if total else None,
            "labelled": sum(sums.n for sums in select_labelled(origins).values()), "unsupported": _count_unsupported(accepted),
            "accuracy": estimate(origins, confidence, bases)}


def find_accepted(cells: "pa.Table", thresholds: Mapping[str, float | None]) -> np.ndarray:
    """Finds the rows of cells that lie at or above their class's threshold."""
    import pyarrow.compute as pc

    encoded = cells["predicted"].combine_chunks().dictionary_encode()
    limits = [thresholds.get(name) for name in encoded.dictionary.to_pylist()]
    least = np.array([np.inf if at is None else round(at * BINS, 6) for at in limits])
    bins = pc.fill_null(cells["confidence_bin"], -1).to_numpy()
    return bins >= least[encoded.indices.to_numpy()] if len(bins) else np.zeros(0, bool)


def _count(cells: "pa.Table") -> int:
    import pyarrow.compute as pc

    return pc.sum(cells["n"]).as_py() or 0


def _count_unsupported(accepted: "pa.Table") -> int:
    """Counts the rows of (predicted, bin) of which none is labelled."""
    import pyarrow as pa
    import pyarrow.compute as pc

    labelled = pc.if_else(pc.is_valid(accepted["label"]), accepted["n"], 0)
    table = pa.table({"predicted": accepted["predicted"], "bin": accepted["confidence_bin"], "n": accepted["n"],
                      "labelled": labelled})
    grouped = table.group_by(["predicted", "bin"]).aggregate([("n", "sum"), ("labelled", "sum")])
    return pc.sum(grouped.filter(pc.equal(grouped["labelled_sum"], 0))["n_sum"]).as_py() or 0
