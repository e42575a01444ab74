"""The votes that a fit of labelers rests on, taken from items (contract/rows/items.py) and encoded as whole numbers.

Votes lie in blocks of whole items, so that sums over blocks are sums over the window, whoever adds them up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contract.counts import ORIGINS, UNNAMED

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Index:
    """The classes, the labelers, and which labeler gave which class at least once, by the bytes of both texts.

    `labeler` and `label` have one place for each such pair: codes into `labelers` and `classes`.
    """

    classes: list[str]
    labelers: list[str]
    labeler: np.ndarray
    label: np.ndarray

    @classmethod
    def of(cls, tables: Sequence[pa.Table]) -> Index:
        """Makes the index of the votes in these tables of `select_votes`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        none = pa.table({"labeler": pa.array([], pa.string()), "label": pa.array([], pa.string())})
        both = pa.concat_tables([none, *(list_pairs(table) for table in tables)])
        classes, labelers = (sorted(pc.unique(both[name]).to_pylist()) for name in ("label", "labeler"))
        who, said = (pc.index_in(both[name], pa.array(known, pa.string())).to_numpy()
                     for name, known in (("labeler", labelers), ("label", classes)))
        k = max(len(classes), 1)
        labeler, label = np.divmod(np.unique(who.astype(np.int64) * k + said), k)
        return cls(classes, labelers, labeler.astype(np.int32), label.astype(np.int32))

    def encode(self, table: pa.Table) -> Block:
        """Encodes a table of `select_votes`, whose votes are all in this index."""
        import pyarrow as pa
        import pyarrow.compute as pc

        who, said = (pc.index_in(table[name], pa.array(known, pa.string())).to_numpy()
                     for name, known in (("labeler", self.labelers), ("label", self.classes)))
        keys = self.labeler.astype(np.int64) * len(self.classes) + self.label
        pair = np.searchsorted(keys, who.astype(np.int64) * len(self.classes) + said)
        return Block(table["item"].to_numpy().astype(np.int32), pair.astype(np.int32))


@dataclass(frozen=True)
class Block:
    """Votes on some items: of each its item, numbered from 0 without gaps and ascending, and its place in the index."""

    item: np.ndarray
    pair: np.ndarray

    @property
    def items(self) -> int:
        """How many items there are."""
        return int(self.item[-1]) + 1 if len(self.item) else 0


def list_pairs(votes: pa.Table) -> pa.Table:
    """Lists who gave which label, each pair once; the texts are never null."""
    return votes.group_by(["labeler", "label"]).aggregate([])


def select_votes(items: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Selects the votes that tell something of labelers; returns them and how many were left out, by reason.

    `items` has the column `votes` of contract.rows.items. Left out, each vote for the first reason that holds: `unnamed`
    (`≠` names no class), `nobody` (no labeler is named), `again` (the same person's vote on the same item in a lower origin
    class), `alone` (nobody else judged the item: such a vote agrees with itself). The table has `item` (numbered from 0),
    `labeler` and `label`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    votes = items["votes"].combine_chunks()
    votes = votes if isinstance(votes, pa.ListArray) else pa.concat_arrays(votes.chunks)
    item, flat = pc.list_parent_indices(votes).to_numpy(), pc.list_flatten(votes)
    labeler, label, origin = (pc.struct_field(flat, name) for name in ("labeler", "label", "origin"))
    named = pc.not_equal(label, UNNAMED).to_numpy(zero_copy_only=False).astype(bool)
    known = labeler.is_valid().to_numpy(zero_copy_only=False)
    left = {"unnamed": int((~named).sum()), "nobody": int((named & ~known).sum())}
    at = np.flatnonzero(named & known)
    people = pc.dictionary_encode(labeler).indices.fill_null(-1).to_numpy()
    place = pc.index_in(origin, pa.array(ORIGINS)).to_numpy()
    at = at[np.lexsort((place[at], people[at], item[at]))]
    first = np.ones(len(at), bool)
    first[1:] = (item[at[1:]] != item[at[:-1]]) | (people[at[1:]] != people[at[:-1]])
    left["again"], at = int((~first).sum()), at[first]
    several = np.bincount(item[at], minlength=1)[item[at]] > 1 if len(at) else np.zeros(0, bool)
    left["alone"], at = int((~several).sum()), at[several]
    number = np.unique(item[at], return_inverse=True)[1] if len(at) else np.zeros(0, np.int64)
    rows = pa.array(at)
    return pa.table({"item": pa.array(number.astype(np.int32)), "labeler": labeler.take(rows), "label": label.take(rows)}), left
