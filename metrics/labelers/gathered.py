"""The votes of a window, gathered: what a fit needs to know of them, whoever holds them and adds them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from contract.rows.items import ROWS_TOGETHER, ItemsDocument
from metrics.labelers.form import Form, Parameters, Sums
from metrics.labelers.votes import Block, Index

GROUPS_TOGETHER = 4  # row groups of items that one part holds
Part = tuple[ItemsDocument, range]


@dataclass(frozen=True)
class Gathered:
    """`given`: votes of each labeler of the index; `left_out`: votes by reason (metrics.labelers.votes.select_votes); `items`:
    how many predictions are left. `add_up` returns the sums of a form over all of them."""

    index: Index
    given: np.ndarray
    items: int
    left_out: dict[str, int]
    add_up: Callable[[Form, Parameters | None], Sums]

    @property
    def votes(self) -> int:
        """How many votes there are."""
        return int(self.given.sum())


def split_documents(documents: Sequence[ItemsDocument]) -> Iterator[Part]:
    """Splits the items of days into parts that are read by themselves."""
    for document in documents:
        groups = -(-document.items // ROWS_TOGETHER) if document.table else 0
        for first in range(0, groups, GROUPS_TOGETHER):
            yield document, range(first, min(first + GROUPS_TOGETHER, groups))


def count_given(index: Index, block: Block) -> np.ndarray:
    """Counts the votes of each labeler in a block."""
    return np.bincount(index.labeler[block.pair], minlength=len(index.labelers))


def add_left_out(found: Sequence[dict[str, int]]) -> dict[str, int]:
    """Adds up how many votes were left out, by reason."""
    total: Counter[str] = Counter()
    for left in found:
        total.update(left)
    return dict(total)
