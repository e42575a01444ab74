"""The calendar: each day under another policy, by the counts as known that day, beside what was said.

A day that was judged is judged again from the very counts of its decision, so the policy of then says what it said. Of other
days the stored counts that are good at the day's last moment are taken; where there are none, they are counted as of then.
Sums over windows slide (sliding.py). A policy with a bound on slices, calibration, drift, cost, accepted answers or a baseline
needs whole tables of every window, which is slower.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

from contract import clock, counts_store
from contract.accepting.thresholds import Thresholds, pick_record, read_state
from contract.counts import DayCounts
from contract.counts_store import CountsDocument
from contract.documents.evaluation import Evaluation
from contract.documents.history import HistoryEntry
from contract.policy import GatePolicy
from contract.registry import Registry
from contract.stores.store import Storage
from metrics import label_delay
from metrics.judging.verdicts import combine
from pipeline.gates.decide import judge
from pipeline.gates.recounted import list_without
from pipeline.gates.tally import Tally, find_first_day, tally_of, tally_of_rows
from pipeline.whatif.past import Past
from pipeline.whatif.sliding import SlidingSums
from pipeline.whatif.stored import StoredCounts

Chosen = dict[str, CountsDocument]  # prediction day -> counts
Count = Callable[[Mapping[str, Sequence[str]]], None]  # moment -> days that are to be counted as of then


@dataclass
class Tallies:
    """The tallies of the window that ends with one day after the other, days in order, so that sums slide."""

    storage: Storage
    stored: StoredCounts
    chosen: Chosen = field(default_factory=dict)
    _sums: dict[int | None, SlidingSums] = field(default_factory=dict)  # days of a window of the policy; None: all
    _made: dict[Any, Tally] = field(default_factory=dict)
    _tables: dict[str, tuple[CountsDocument, DayCounts]] = field(default_factory=dict)

    def move(self, chosen: Chosen) -> None:
        """Goes on to the counts of the next day."""
        self.chosen = chosen
        self._made.clear()

    def find_version(self, answering: Sequence[str]) -> str:
        """The version of these that answered most, of equals the first; of no version the only one with counts; else empty."""
        sums = self._slide(None, "", "")
        if answering:
            return max(answering, key=lambda version: sum(row["n"] for row in sums.rows_of(version)))
        return sums.versions[0] if len(sums.versions) == 1 else ""

    def count(self, policy: GatePolicy, window: Mapping[str, str], version: str, classes: Sequence[str],
              thresholds: Thresholds | None = None) -> Tally:
        """All that a policy judges of a version; `thresholds`: those in force then."""
        if _needs_tables(policy):
            return tally_of(policy, self._load(), window, version, classes, thresholds)
        parts = {n: self._tally(policy, n, find_first_day(window["to"], n), window["to"], version) for n in policy.window_days}
        whole = self._tally(policy, None, window["from"], window["to"], version, classes)
        return replace(whole, windows=parts, newest_day=self._sums[None].newest_day_of(version))

    def _tally(self, policy: GatePolicy, days: int | None, first: str, last: str, version: str,
               classes: Sequence[str] = ()) -> Tally:
        key = (days, version, *policy.trusted_origins)
        if key not in self._made:
            rows = self._slide(days, first, last).rows_of(version)
            self._made[key] = tally_of_rows(rows, policy.trusted_origins, classes)
        return self._made[key]

    def _slide(self, days: int | None, first: str, last: str) -> SlidingSums:
        sums = self._sums.setdefault(days, SlidingSums(self.stored))
        sums.move(self.chosen if days is None else {d: c for d, c in self.chosen.items() if first <= d <= last})
        return sums

    def is_arriving(self, version: str, as_of: int) -> bool:
        """Whether more labels were expected for a day of the version, at a moment in us since 1970: as a trend says it."""
        young = [day for day in self.chosen if label_delay.age(day, as_of) < 1]
        if any(self.stored.has_version(self.chosen[day], version) for day in young):  # whatever delays say, so they are not read
            return True
        mine = [day for day in self.chosen if self.stored.has_version(self.chosen[day], version)]
        delays = {day: self.stored.read_delays(document) for day, document in self.chosen.items()} if mine else {}
        learnt = label_delay.find_arrival_curve(delays, as_of)
        return any(label_delay.find_arriving(day, as_of, learnt)["provisional"] for day in mine)

    def _load(self) -> list[DayCounts]:
        """The whole tables of the days; those of the day before are kept as long as they are asked for."""
        self._tables = {day: (document, self._tables[day][1] if day in self._tables and self._tables[day][0] is document
                              else counts_store.read(self.storage, document)) for day, document in sorted(self.chosen.items())}
        return [counts for _, counts in self._tables.values()]


@dataclass
class Judge:
    """Judges the day at which the tallies stand under one policy."""

    storage: Storage
    model: str
    policy: GatePolicy
    tallies: Tallies
    overrides: Sequence[Mapping[str, Any]] = ()
    _classes: dict[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def _registry(self) -> Registry:
        return Registry(self.storage, self.model)

    @cached_property
    def _records(self) -> Sequence[HistoryEntry]:
        return self._registry.history_known()[0]  # once for all days: each is read from the store

    def judge(self, past: Past) -> dict[str, Any]:
        """What the gates say: {"verdict", "reasons", "version", "gates"}."""
        version = past.version if past.decision and past.version else self.tallies.find_version(past.answering)
        held = self._find_thresholds(past.as_of) if self.policy.min_accepted_accuracy is not None else None
        tally = self.tallies.count(self.policy, past.evaluation["window"], version, self._list_classes(version), held)
        evaluation = past.evaluation if past.decision else {
            **past.evaluation, "trend": [{"version": version, "provisional": self.tallies.is_arriving(version, _read_us(past))}]}
        without = list_without(self.storage, self.policy, cast(Evaluation, past.evaluation), past.evaluation_id, version) if (
            past.evaluation_id) else []
        same = past.answering if version in past.answering else [version]
        gates = judge(self.policy, evaluation, version, tally, self.overrides, without, same)
        verdict, reasons = combine(gates)
        return {"verdict": verdict, "reasons": reasons, "version": version or None,
                "gates": [{name: gate[name] for name in ("gate", "days", "verdict", "value", "n", "reason") if name in gate}
                          for gate in gates]}

    def _find_thresholds(self, as_of: str) -> Thresholds | None:
        found = pick_record(self._records, as_of)
        return read_state(found.state) if found else None

    def _list_classes(self, version: str) -> Sequence[str]:
        if version not in self._classes:
            registry = self._registry
            self._classes[version] = registry.card(version).classes if version in registry.versions() else ()
        return self._classes[version]


def _read_us(past: Past) -> int:
    return clock.to_us(clock.parse_moment(past.as_of))


def _needs_tables(policy: GatePolicy) -> bool:
    """Whether a bound rests on more than the labels and answers of a window."""
    return any(bound is not None for bound in (policy.min_slice_accuracy, policy.max_calibration_error, policy.max_drift,
                                               policy.max_drop_from_baseline, policy.max_cost_per_1000,
                                               policy.min_accepted_accuracy))


def choose_counts(stored: StoredCounts, pasts: Sequence[Past], predicted: Sequence[str], count: Count) -> tuple[
        list[Chosen], dict[str, list[str]]]:
    """The counts behind each day; counts what is not there. Returns also the days of which none were to be had."""
    wanted = [_list_wanted(past, predicted) for past in pasts]
    stored.look({day for days in wanted for day in days})
    missing = {past.as_of: days for past, of in zip(pasts, wanted, strict=True)
               if (days := [d for d in of if not _choose(stored, past, d)[1]])}
    if missing:
        count(missing)
        stored.look({day for days in missing.values() for day in days})
    chosen: list[Chosen] = []
    left_out: dict[str, list[str]] = {}
    for past, days in zip(pasts, wanted, strict=True):
        found = {day: _choose(stored, past, day)[0] for day in days}
        chosen.append({day: document for day, document in found.items() if document is not None})
        if gone := [day for day, document in found.items() if document is None]:
            left_out[past.day] = gone
    stored.read(document for found in chosen for document in found.values())
    return chosen, left_out


def _list_wanted(past: Past, predicted: Sequence[str]) -> list[str]:
    window = past.evaluation["window"]
    return sorted(past.counts) if past.decision else [d for d in predicted if window["from"] <= d <= window["to"]]


def _choose(stored: StoredCounts, past: Past, day: str) -> tuple[CountsDocument | None, bool]:
    if past.decision:
        named = next((d for d in stored.documents.get(day, ()) if d.name == past.counts[day]), None)
        if named is not None:
            return named, True
    return stored.choose(day, _read_us(past))


def sum_up(days: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """How many days have each verdict, on either side."""
    return {side: dict(sorted(Counter(day[side]["verdict"] for day in days).items())) for side in ("said", "would")}
