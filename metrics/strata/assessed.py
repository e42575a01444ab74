"""Strata of held-out rows: what an assessment keeps of them, and what they say of the traffic of a version without labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.confidence import NO_BIN
from metrics.strata.strata import SILENT, Strata

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


def list_rows(cells: pa.Table) -> list[Row]:
    """Rows of {predicted, bin, n, right} of the cells of held-out rows, by class and bin; labels of feedback alone stay out."""
    found: dict[tuple[str, int], list[int]] = {}
    columns = (cells[name].to_pylist() for name in ("predicted", "confidence_bin", "label", "origin", "n"))
    for predicted, place, label, origin, n in zip(*columns, strict=True):
        if label is None or origin == "feedback":
            continue
        sums = found.setdefault((predicted, NO_BIN if place is None else place), [0, 0])
        sums[0] += n
        sums[1] += n if label == predicted else 0
    return [{"predicted": name, "bin": None if place == NO_BIN else place, "n": n, "right": right}
            for (name, place), (n, right) in sorted(found.items())]


def lay_over(traffic: Strata, rows: Iterable[Mapping[str, Any]]) -> Strata:
    """Strata with the sizes of a version's traffic, whatever feedback says, and held-out rows in place of an audit's.

    Held-out rows of a class and bin without traffic stand in strata of size 0.
    """
    given = list(rows)
    names = sorted({*traffic.names, *(row["predicted"] for row in given)})
    code = {name: place for place, name in enumerate(names)}
    moved = np.array([code[name] for name in traffic.names], int)
    predicted = np.concatenate([moved[traffic.predicted], np.array([code[row["predicted"]] for row in given], int)])
    bins = np.concatenate([traffic.bin, np.array([NO_BIN if row["bin"] is None else row["bin"] for row in given], int)])
    size, n, right = (np.concatenate([of_traffic, np.array(of_rows, float)]) for of_traffic, of_rows in (
        (traffic.size, [0] * len(given)), (np.zeros(len(traffic)), [row["n"] for row in given]),
        (np.zeros(len(traffic)), [row["right"] for row in given])))
    none = np.zeros(len(size))
    loose = Strata(names, predicted, bins, np.full(len(size), SILENT), size, n, right, n, n, right, right, none, none)
    groups = np.unique(predicted * 100 + bins, return_inverse=True)[1]
    return replace(loose.merge(groups), names=names)
