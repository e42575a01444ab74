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
    """Each labeler's votes and agreement with other people; null: votes that name nobody. In the table's order.

    `agreement` is the share of agreeing pairs among those of one of their votes and somebody else's on the same
    prediction. A vote that nobody else cast always agrees with the consensus, which is itself, so it counts for nothing.
    """
    counts = [table.column(c).to_numpy() for c in ("votes", "agreements", "pairs", "agreeing_pairs")]
    figures = shares(counts[3], counts[2], confidence, "nobody else judged what this labeler judged")
    return [{"labeler": who, "votes": v, "agreements": a, "pairs": p, "agreeing_pairs": q, "agreement": f}
            for who, v, a, p, q, f in
            zip(table.column("labeler").to_pylist(), *(c.tolist() for c in counts), figures, strict=True)]
