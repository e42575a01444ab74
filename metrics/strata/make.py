"""The finest strata of each version, from the counts of a window and the items of its days.

How many predictions there are of each (predicted class, confidence bin) is what the counts say. What feedback says is in the
items: of a prediction's votes of origin feedback, those that name the predicted class against those that do not, the newest
where they are as many. So a prediction that an audit labelled, too, is found there with both. Feedback is never a label here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.confidence import NO_BIN, confidence_bins
from contract.counts import BINS, SMALLEST_P, WEIGHT_SCALE
from contract.errors import Mismatch
from metrics.strata.strata import FEEDBACK, RIGHT, SILENT, WRONG, Strata

if TYPE_CHECKING:
    import pyarrow as pa

BINS_AND_NONE = BINS + 1  # the last one is NO_BIN
ITEM_COLUMNS = ("model_version", "predicted", "confidence", "label", "origin", "selection_probability", "votes")
OTHERS = ("review", "import")
NAMES = ("n", "right", "weight", "weight_squared", "weight_right", "weight_squared_right", "other", "other_right")


def make_strata(predictions: pa.Table, items: Iterable[pa.Table]) -> dict[str, Strata]:
    """Version -> its strata that have predictions, by class, bin and feedback.

    `predictions`: rows of (model_version, predicted, confidence_bin, n), which may repeat (WindowCounts.total("bins"));
    `items`: the tables of the days of the same window (contract.rows.items). Raises Mismatch when an item is no such prediction.
    """
    places = _Places.of(predictions)
    size = places.add_up(predictions, predictions["n"])
    sums = np.zeros((len(NAMES), places.count, len(FEEDBACK)))
    spoken = np.zeros((places.count, len(FEEDBACK)))
    for table in items:
        _add_items(places, table, sums, spoken)
    spoken[:, SILENT] = size - spoken[:, WRONG] - spoken[:, RIGHT]
    if (spoken < 0).any():
        raise Mismatch("expected items of predictions that the counts have, got more than these: counts and items are not of "
                       "the same rows. Make both again: trueup evaluate --full --items.")
    return places.split(spoken, sums)


class _Places:
    """Where each (version, predicted class, confidence bin) stands in flat arrays of `count` elements."""

    def __init__(self, versions: list[str], names: list[str]) -> None:
        self.versions, self.names = versions, names
        self.count = len(versions) * len(names) * BINS_AND_NONE

    @classmethod
    def of(cls, table: pa.Table) -> _Places:
        """Those of the versions and predicted classes of a table."""
        import pyarrow.compute as pc

        versions, names = (sorted(pc.unique(table[c]).to_pylist()) for c in ("model_version", "predicted"))
        return cls(versions, names)

    def find(self, table: pa.Table, bins: np.ndarray) -> np.ndarray:
        """The place of each row; Mismatch for a version or class that is not there."""
        version, name = (_encode(table[c], of) for c, of in (("model_version", self.versions), ("predicted", self.names)))
        if (version < 0).any() or (name < 0).any():
            raise Mismatch("expected items of the versions and predicted classes that the counts have, got others: counts and "
                           "items are not of the same rows. Make both again: trueup evaluate --full --items.")
        return (version * len(self.names) + name) * BINS_AND_NONE + np.where(bins == NO_BIN, BINS, bins)

    def add_up(self, table: pa.Table, values: Any) -> np.ndarray:
        """Sums of `values` over the rows of each place; the bins are the column `confidence_bin`."""
        import pyarrow.compute as pc

        bins = pc.fill_null(table["confidence_bin"].cast("int64"), NO_BIN).to_numpy()
        return np.bincount(self.find(table, bins), np.asarray(values, float), self.count)

    def split(self, spoken: np.ndarray, sums: np.ndarray) -> dict[str, Strata]:
        """The strata of each version: those that have predictions."""
        found = {}
        shape = (len(self.versions), len(self.names), BINS_AND_NONE, len(FEEDBACK))
        size, parts = spoken.reshape(shape), sums.reshape(len(NAMES), *shape)
        for place, version in enumerate(self.versions):
            there = size[place] > 0
            predicted, bins, feedback = np.nonzero(there)
            columns = dict(zip(NAMES, parts[:, place, there], strict=True))
            found[version] = Strata(self.names, predicted, np.where(bins == BINS, NO_BIN, bins), feedback, size[place][there],
                                    **columns)
        return found


def _add_items(places: _Places, table: pa.Table, sums: np.ndarray, spoken: np.ndarray) -> None:
    """Adds the items of a day: the audit's and other labels to `sums`, what feedback says to `spoken`."""
    if not table.num_rows:
        return
    import pyarrow.compute as pc

    confidence = pc.fill_null(table["confidence"], np.nan).to_numpy()
    at, says = places.find(table, confidence_bins(confidence)), find_feedback(table)
    flat = at * len(FEEDBACK) + says
    right = pc.equal(table["label"], table["predicted"]).to_numpy().astype(float)
    origin = table["origin"].to_numpy()
    p = pc.fill_null(table["selection_probability"], 0).to_numpy()
    audit, other = (origin == "audit") & (p >= SMALLEST_P) & (p <= 1), np.isin(origin, OTHERS)
    weight = np.where(audit, np.floor(WEIGHT_SCALE / np.where(audit, p, 1)), 0)
    values = (audit, audit * right, weight, weight**2, weight * right, weight**2 * right, other, other * right)
    for name, column in enumerate(values):
        sums[name] += np.bincount(flat, column, spoken.size).reshape(spoken.shape)
    spoken += np.bincount(flat, says != SILENT, spoken.size).reshape(spoken.shape)


def find_feedback(items: pa.Table) -> np.ndarray:
    """What feedback says of each item, a place in FEEDBACK: most of its votes of origin feedback, on a tie the newest."""
    import pyarrow.compute as pc

    votes = items["votes"].combine_chunks()
    item, flat = pc.list_parent_indices(votes).to_numpy(), votes.flatten()
    spoke = pc.equal(flat.field("origin"), "feedback")
    item = item[spoke.to_numpy(zero_copy_only=False)]
    right = pc.equal(flat.field("label").filter(spoke), items["predicted"].take(item)).to_numpy()
    balance = np.bincount(item, np.where(right, 1, -1), items.num_rows)
    newest = np.zeros(items.num_rows, int)
    newest[item] = np.where(right, 1, -1)  # votes of an item stand in the order of their moments, and the last one stays
    return SILENT + np.sign(2 * balance + newest).astype(int)


def _encode(column: pa.ChunkedArray, names: list[str]) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.fill_null(pc.index_in(column, pa.array(names, pa.string())), -1).to_numpy().astype(np.int64)
