"""How well labelers agree: Krippendorff's alpha from the coincidences, and each labeler with other people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from contract.documents.evaluation import Alpha, Labeler
from metrics.cells import encode_pair
from metrics.figure import shares
from metrics.intervals import CONFIDENCE, jackknife, wilson

if TYPE_CHECKING:
    import pyarrow as pa


class Pairs(NamedTuple):
    """What alpha rests on, which adds up over days: votes of each label and disagreeing pairs, each pair 1 / (m - 1) of an
    item with m votes; and items."""

    of_label: np.ndarray
    disagreeing: float
    items: float


def alpha(table: "pa.Table", days: Sequence["pa.Table"] = (), confidence: float = CONFIDENCE) -> Alpha:
    """Krippendorff's alpha for nominal labels (Krippendorff 2011), from the `coincidences` table and that of each day.

    An item with m votes adds its ordered pairs of votes, each 1 / (m - 1). `votes` = votes on items that have two or
    more. Null with a reason without such items, or when all votes name one label. The interval is null below two days.
    """
    if not table.num_rows:
        return {"value": None, "low": None, "high": None, "votes": 0, "labels": 0,
                "reason": "no prediction has two deciding votes"}
    names = encode_pair(table.column("label"), table.column("other_label"))[0]
    total = _add_pairs(table, names)
    found: Alpha = {"value": None, "low": None, "high": None, "votes": round(float(total.of_label.sum())),
                    "labels": len(names)}
    if len(names) < 2:
        return {**found, "reason": "all votes name the same label"}
    of_day = [_add_pairs(day, names) for day in days if day.num_rows]
    if len(of_day) < 2:
        return {**found, "value": _alpha_of(total), "reason": "no interval: fewer than two days have such predictions"}
    low, high = _interval(total, of_day, confidence)
    return {**found, "value": _alpha_of(total), "low": low, "high": high}


def _interval(total: Pairs, of_day: Sequence[Pairs], confidence: float) -> tuple[float, float]:
    """The wider of two on either side: a jackknife over days, since what items of a day share shows between days alone,
    and Wilson's for the disagreement, for days without any tell a jackknife nothing."""
    value = _alpha_of(total)
    without = [_alpha_of(Pairs(total.of_label - d.of_label, total.disagreeing - d.disagreeing, total.items - d.items))
               for d in of_day]
    low, high = jackknife(value, without, confidence)
    votes = total.of_label.sum()
    seen = total.disagreeing / votes
    least, most = wilson(seen * total.items, total.items, confidence)
    by_chance = (votes**2 - (total.of_label**2).sum()) / (votes * (votes - 1))
    return max(min(low, float(1 - most / by_chance)), -1.0), min(max(high, float(1 - least / by_chance)), 1.0)


def _alpha_of(pairs: Pairs) -> float:
    total = pairs.of_label.sum()
    expected = total * total - (pairs.of_label**2).sum()
    return float(1 - (total - 1) * pairs.disagreeing / expected) if expected > 0 else 1.0


def _add_pairs(table: "pa.Table", names: list[str]) -> Pairs:
    import pyarrow as pa
    import pyarrow.compute as pc

    first, second = (pc.index_in(table.column(c), pa.array(names, pa.string())).to_numpy() for c in ("label", "other_label"))
    n, m = (table.column(c).cast("int64").to_numpy() for c in ("n", "votes"))
    pairs = n / (m - 1)
    return Pairs(np.bincount(first, pairs, len(names)), float(pairs[first != second].sum()), float((pairs / m).sum()))


def labelers(table: "pa.Table", confidence: float) -> list[Labeler]:
    """Each labeler's votes and agreement with other people; null: votes that name nobody. In the table's order.

    `agreement` is the share of agreeing pairs among those of one of their votes and somebody else's on the same
    prediction. A lone vote is in no pair: it is the consensus itself, so that it agrees with it tells nothing.
    """
    counts = [table.column(c).to_numpy() for c in ("votes", "agreements", "pairs", "agreeing_pairs")]
    figures = shares(counts[3], counts[2], confidence, "nobody else judged what this labeler judged")
    return [{"labeler": who, "votes": v, "agreements": a, "pairs": p, "agreeing_pairs": q, "agreement": f}
            for who, v, a, p, q, f in
            zip(table.column("labeler").to_pylist(), *(c.tolist() for c in counts), figures, strict=True)]
