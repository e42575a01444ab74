"""The items of one day when somebody's votes, or a client's predictions, are left out: which cells of the counts change."""

from collections import Counter
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.evidence.recounts import CLIENT
from contract.rows.items import VOTE, VOTES
from jobs.engines.question import Question
from jobs.engines.rules import agree

Cell: TypeAlias = tuple[str, str | None, str | None, float | None]  # predicted, label, origin class, selection probability
Name: TypeAlias = str | None


class DayVotes:
    """Items (contract.rows.items.make_schema) with their votes as columns; `of_vote` is the item of each vote."""

    def __init__(self, items: pa.Table, question: Question) -> None:
        self.question, self.items = question, items
        lists = pa.concat_arrays(items[VOTES].chunks)
        self.votes = pa.Table.from_arrays([pc.struct_field(lists.flatten(), [n]) for n in range(len(VOTE.names))], VOTE.names)
        self.size = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
        self.of_vote = np.repeat(np.arange(items.num_rows), self.size)
        self.first = np.cumsum(self.size) - self.size

    @cached_property
    def version(self) -> list[str]:
        """The model version of each item."""
        return self.items["model_version"].to_pylist()

    @cached_property
    def labeler(self) -> list[Name]:
        """The labeler of each vote."""
        return self.votes["labeler"].to_pylist()

    @cached_property
    def versions(self) -> Counter[str]:
        """How many items each version has."""
        return Counter(self.version)

    @cached_property
    def versions_of_votes(self) -> Counter[str]:
        """How many votes each version has."""
        return Counter(self.version[i] for i in self.of_vote.tolist())

    @cached_property
    def _cells(self) -> list[Cell]:
        names = ("predicted", "label", "origin", "selection_probability")
        return list(zip(*(self.items[name].to_pylist() for name in names), strict=True))

    @cached_property
    def _places(self) -> dict[Name, np.ndarray]:
        """The votes of each labeler."""
        found: dict[Name, list[int]] = {}
        for place, name in enumerate(self.labeler):
            found.setdefault(name, []).append(place)
        return {name: np.array(places) for name, places in found.items()}

    @cached_property
    def _sent(self) -> dict[Name, np.ndarray]:
        """The items of each client that is named."""
        found: dict[Name, list[int]] = {}
        for place, name in enumerate(self.items["client"].to_pylist()):
            if name:
                found.setdefault(name, []).append(place)
        return {name: np.array(places) for name, places in found.items()}

    @cached_property
    def _under(self) -> dict[Name, np.ndarray]:
        """The votes that are kept under each key: of a labeler that is a client, or `KEY/anna`."""
        found: dict[Name, list[np.ndarray]] = {}
        for name, places in self._places.items():
            key = name.partition("/")[0] if name else None
            if key and name and ("/" in name or name in self._sent):
                found.setdefault(key, []).append(places)
        return {key: np.concatenate(parts) for key, parts in found.items()}

    def count_labelers(self) -> Counter[tuple[Name, str]]:
        """Counts the votes of each labeler on each version."""
        return Counter({(name, version): n for name, places in self._places.items()
                        for version, n in Counter(self.version[i] for i in self.of_vote[places].tolist()).items()})

    def count_clients(self) -> Counter[tuple[Name, str]]:
        """Counts the items of each version that a client sent, or judged under its key."""
        found: Counter[tuple[Name, str]] = Counter()
        for name in {*self._sent, *self._under}:
            items = np.union1d(self._sent.get(name, _NONE), self.of_vote[self._under.get(name, _NONE)])
            found.update((name, self.version[i]) for i in items.tolist())
        return found

    def find_changes(self, kind: str, name: Name, version: str) -> dict[Cell, int]:
        """Finds by how many predictions each cell of a version grows (negative: shrinks) without a labeler or client."""
        votes = (self._under if kind == CLIENT else self._places).get(name, _NONE)
        sent = self._sent.get(name, _NONE) if kind == CLIENT else _NONE
        gone = np.bincount(self.of_vote[votes], minlength=len(self.size))
        gone[sent] = 0  # the prediction itself goes
        changes: Counter[Cell] = Counter()
        changes.subtract(self._cells[i] for i in sent.tolist() if self.version[i] == version)
        dropped = set(votes.tolist()) if (gone[gone > 0] < self.size[gone > 0]).any() else set()
        for i in np.flatnonzero(gone).tolist():
            if self.version[i] == version:
                changes[self._cells[i]] -= 1
                changes[self._decide_again(i, dropped) if gone[i] < self.size[i] else (self._cells[i][0], None, None, None)] += 1
        return {cell: n for cell, n in changes.items() if n}

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        """Each vote as the rules read it: times as whole microseconds."""
        times = self.votes["labeled_at"].cast(pa.int64())
        return self.votes.set_column(VOTE.names.index("labeled_at"), "labeled_at", times).to_pylist()

    def _decide_again(self, i: int, dropped: set[int]) -> Cell:
        """Decides an item by the votes that are left."""
        predicted, _, origin, p = self._cells[i]
        all_ = range(self.first[i], self.first[i] + self.size[i])
        left = [self._rows[v] for v in all_ if v not in dropped]
        found = agree({"predicted_label": predicted}, left, self.question)
        knows = any(self._rows[v]["selection_probability"] is not None for v in all_)
        if knows or found.origin != origin:
            p = found.deciding[0]["selection_probability"]  # else items of an earlier release, which say it of the item alone
        return predicted, found.label, found.origin, p


_NONE = np.zeros(0, np.int64)
