"""Which pictures of a day lie far out in the histograms of other pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from contract.evidence.pictures import Unusual
from contract.measured.measures import MEASURES

if TYPE_CHECKING:
    import pyarrow as pa


def find_unusual(day: str, pictures: pa.Table, reference: Mapping[str, Sequence[int]], most: int) -> list[Unusual]:
    """The `most` unusual pictures (rows of contract.measured.document.PICTURE), by the share of the reference's pictures that lie
    as far out in the measure where these are fewest.

    First those of the smallest share; of equal ones those that are far out in more measures, then by their hash.
    """
    if not pictures.num_rows:
        return []
    shares, sides = _find_tails(pictures, reference)
    floor = 0.5 / max(max((sum(counts) for counts in reference.values()), default=1), 1)
    surprise = np.log(np.maximum(shares, floor)).sum(1)  # how unlikely all together, were they independent
    best = shares.argmin(1)
    order = np.lexsort((np.arange(len(best)), surprise, shares.min(1)))[:most]
    names, hashes, uris = (pictures[name].to_pylist() for name in ("prediction_id", "image_sha256", "image_uri"))
    found: list[Unusual] = []
    for row in order.tolist():
        k = int(best[row])
        value = pictures[MEASURES[k].name][row].as_py()
        side: Literal["low", "high"] = "high" if sides[row, k] else "low"
        if value is not None and names[row]:
            found.append({"day": day, "prediction_id": names[row], "image_sha256": hashes[row], "image_uri": uris[row],
                          "measure": MEASURES[k].name, "side": side, "value": value, "share": float(shares[row, k])})
    return found


def _find_tails(pictures: pa.Table, reference: Mapping[str, Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """[pictures, measures]: the share of the reference's that are in the same bin or farther out, on the side where these are
    fewer, and whether that is the high side. 1 where a value, or the reference, is missing."""
    shares, sides = np.ones((pictures.num_rows, len(MEASURES))), np.zeros((pictures.num_rows, len(MEASURES)), bool)
    for k, measure in enumerate(MEASURES):
        counts = np.asarray(reference[measure.name], float)
        values = pictures[measure.name].to_numpy().astype(float)
        known = ~np.isnan(values)
        if not counts.sum() or not known.any():
            continue
        bins = np.searchsorted(measure.edges, values[known], side="right")
        below, above = np.cumsum(counts) / counts.sum(), np.cumsum(counts[::-1])[::-1] / counts.sum()
        shares[known, k], sides[known, k] = np.minimum(below, above)[bins], (above < below)[bins]
    return shares, sides
