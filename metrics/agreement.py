"""How well labelers agree: Krippendorff's alpha from the coincidences, and each labeler with the consensus."""

from typing import TYPE_CHECKING

import numpy as np

from contract.documents.evaluation import Alpha, Labeler
from metrics.figure import shares

if TYPE_CHECKING:
    import pyarrow as pa


def alpha(table: "pa.Table") -> Alpha:
    """Krippendorff's alpha for nominal labels (Krippendorff 2011), from the `coincidences` table.

    An item with m votes adds its ordered pairs of votes, each 1 / (m - 1). {"value", "votes", "labels"}: `votes` =
    votes on items that have two or more. Null with a reason without such items, or when all votes name one label.
    """
    from metrics.cells import encode_pair

    if not table.num_rows:
        return {"value": None, "votes": 0, "labels": 0, "reason": "no prediction has two deciding votes"}
    names, first, second = encode_pair(table.column("label"), table.column("other_label"))
    n, m = (table.column(c).cast("int64").to_numpy() for c in ("n", "votes"))
    pairs = n / (m - 1)
    of_label = np.bincount(first, pairs, len(names))
    total = of_label.sum()
    found: Alpha = {"value": None, "votes": round(float(total)), "labels": len(names)}
    expected = total * total - (of_label**2).sum()
    if len(names) < 2:
        return {**found, "reason": "all votes name the same label"}
    observed = pairs[first != second].sum()
    return {**found, "value": float(1 - (total - 1) * observed / expected)}


def labelers(table: "pa.Table", confidence: float) -> list[Labeler]:
    """Each labeler's votes and agreement with the consensus; null: votes that name nobody. In the table's order."""
    votes, agreements = (table.column(c).to_numpy() for c in ("votes", "agreements"))
    figures = shares(agreements, votes, confidence, "no votes")
    return [{"labeler": who, "votes": v, "agreements": a, "agreement": f} for who, v, a, f in
            zip(table.column("labeler").to_pylist(), votes.tolist(), agreements.tolist(), figures, strict=True)]
