"""Rows cut into units, of which a decoder does one at a time, and where the rows of each belong in the steps. Pure arithmetic."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from training.feed.world import pieces


class Unit(NamedTuple):
    """Rows [low, high) of a row group; row groups are counted over the files laid end to end."""

    group: int
    low: int
    high: int

    @property
    def rows(self) -> int:
        """How many."""
        return self.high - self.low


class Part(NamedTuple):
    """Rows of a step: `rows` of them from place `at` on."""

    step: int
    at: int
    rows: int


def units(groups: Sequence[int], low: int, high: int, most: int) -> list[Unit]:
    """Rows [low, high) of row groups of these sizes, in order: row groups, cut where they have more than `most` rows."""
    return [Unit(group, first, min(first + most, end)) for group, begin, end in pieces(groups, low, high)
            for first in range(begin, end, most)]


def parts(rows: Sequence[int], sizes: Sequence[int]) -> list[list[Part]]:
    """The parts of steps of these sizes that units of so many rows fill, one after the other. ValueError: the sums differ."""
    if sum(rows) != sum(sizes):
        raise ValueError(f"expected steps of {sum(rows)} rows together, got {sum(sizes)}")
    found, step, at = [], 0, 0
    for left in rows:
        found.append([])
        while left:
            n = min(left, sizes[step] - at)
            if n:
                found[-1].append(Part(step, at, n))
            left, at = left - n, at + n
            if at == sizes[step]:
                step, at = step + 1, 0
    return found


class Shares(NamedTuple):
    """Who does which units. `whole`: row groups by turns, so that each is read by one decoder alone; else units by turns, and
    every decoder reads every row group. `ahead`: units that are asked for before the oldest is answered, so that every decoder
    has another one when it has done one."""

    decoders: int
    whole: bool
    ahead: int

    def of(self, unit: int, group: int) -> int:
        """The decoder of a unit, by its number and its row group."""
        return (group if self.whole else unit) % self.decoders


def shares(found: Sequence[Unit], whole: int, decoders: int) -> Shares:
    """For so many decoders at most; row groups of more than `whole` rows are shared, for a batch may wait for many of them."""
    groups = Counter(unit.group for unit in found)
    count = max(1, min(decoders, len(groups)))
    if max((unit.high for unit in found), default=0) <= whole:
        return Shares(count, True, count * max([2, *groups.values()]))
    count = max(1, min(decoders, len(found)))
    return Shares(count, False, count * 2)
