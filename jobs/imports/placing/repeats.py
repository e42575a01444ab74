"""Predictions whose id occurs twice on a day: only the first of an id and day counts (rule 2).

The same answer again (a retry, a log that was delivered twice) loses nothing and is noted. Another answer, of this
version, of another one or of another model, would be lost silently, so its row is a bad one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contract import clock
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.imports.found import Found
from jobs.imports.placing.predicted import Predicted, find_predictions, make_predicted
from jobs.imports.rows import Row


@dataclass(frozen=True)
class _Placed:
    """A row with its identity; `where` is None for one that the root has already."""

    where: str | None
    row: Row
    key: Predicted

    @property
    def place(self) -> str:
        return self.where or "in the root"


def leave_out_lost(storage: Storage, placed: Mapping[str, Sequence[tuple[str, Row]]], found: Found) -> dict[str, list[Row]]:
    """Returns the rows to write, by day; those that would not be counted go to `found.bad`, repeats to `found.notes`."""
    by_day: dict[str, list[Row]] = {}
    again: list[_Placed] = []
    lost: list[tuple[_Placed, _Placed]] = []
    unreadable: list[str] = []
    for day, rows in placed.items():
        there = find_predictions(storage, {row["prediction_id"] for _, row in rows}, [day], unreadable=unreadable)
        kept: list[Row] = []
        for group in _group(day, rows, kept):
            old = [p for p in there.get(group[0].key.key, ()) if p.role == group[0].key.role]
            first = _Placed(None, {}, min(old, key=lambda p: p.order)) if old else group[0]
            for one in group:
                if _said(one) != _said(first):
                    lost.append((one, first))
                    continue
                kept.append(one.row)
                if one is not group[0] or (old and one.key not in old):
                    again.append(one)
        if kept:
            by_day[day] = kept
    found.notes += [*_describe_again(again), *(f"cannot be read, so its ids were not looked at: {key}" for key in unreadable)]
    found.bad += [_describe_lost(one, first) for one, first in lost]
    found.reasons += _describe_versions(lost)
    return by_day


def _group(day: str, rows: Sequence[tuple[str, Row]], others: list[Row]) -> list[list[_Placed]]:
    """The rows of each id and role, in the order in which the first counts; `others` get those that never count."""
    groups: dict[tuple[str, str], list[_Placed]] = defaultdict(list)
    for where, row in rows:
        key = make_predicted(row, day)
        if key:
            groups[key.key, key.role].append(_Placed(where, row, key))
        else:
            others.append(row)
    return [sorted(group, key=lambda one: one.key.order) for group in groups.values()]


def _said(one: _Placed) -> tuple[str, str, str]:
    return one.key.model, one.key.version, one.key.label


def _describe_again(again: Sequence[_Placed]) -> list[str]:
    if not again:
        return []
    return [f"{write_count(len(again), 'repeat')} of an id on its day with the same answer: of an id the first of a day counts "
            f"(e.g. {again[0].place}: {again[0].key.key!r} on {again[0].key.day})"]


def _describe_lost(one: _Placed, first: _Placed) -> str:
    return (f"{one.place}: {one.key.key!r} of {_name(one)} said {one.key.label!r} at {_at(one)}, and on the same day "
            f"{_name(first)} said {first.key.label!r} at {_at(first)} ({first.place}): of an id one prediction a day counts. "
            f"Give every prediction an id of its own.")


def _describe_versions(lost: Sequence[tuple[_Placed, _Placed]]) -> list[str]:
    """One sentence for each model and version that would be lost to another one."""
    pairs: dict[tuple[str, str], list[_Placed]] = defaultdict(list)
    for one, first in lost:
        if _said(one)[:2] != _said(first)[:2]:
            pairs[_name(one), _name(first)].append(one)
    return [f"{loser} would not be counted: {len(rows):,} of its predictions have ids that {winner} has on the same day (e.g. "
            f"{rows[0].place}: {rows[0].key.key!r}), and of an id one prediction a day counts. Keep them apart by "
            f"--id-per-version, with labels that reach every version; or name another role than live (shadow) in a column "
            f"role of one of them." for (loser, winner), rows in pairs.items()]


def _name(one: _Placed) -> str:
    return f"version {one.key.version!r} of {one.key.model!r}"


def _at(one: _Placed) -> str:
    return clock.iso(clock.from_us(one.key.at))
