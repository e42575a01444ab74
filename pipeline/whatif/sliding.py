"""Sums over the days of a window that slides: what enters is added and what leaves taken away, because counts add."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from contract.counts_store import CountsDocument
from pipeline.whatif.stored import KEYS, VALUES, StoredCounts


@dataclass
class SlidingSums:
    """The cells of some days' counts, added up; `days` says which counts of each day are in it."""

    stored: StoredCounts
    days: dict[str, CountsDocument] = field(default_factory=dict)
    _sums: dict[tuple, list[int]] = field(default_factory=dict)  # KEYS -> VALUES

    def move(self, days: Mapping[str, CountsDocument]) -> None:
        """Makes these the days; only what differs is added or taken away."""
        for day in [day for day, document in self.days.items() if days.get(day) is not document]:
            self._add(self.days.pop(day), -1)
        for day, document in days.items():
            if day not in self.days:
                self.days[day] = document
                self._add(document, 1)

    def _add(self, document: CountsDocument, sign: int) -> None:
        for row in self.stored.rows(document):
            key, values = row[:len(KEYS)], row[len(KEYS):]
            sums = self._sums.setdefault(key, [0] * len(VALUES))
            for place, value in enumerate(values):
                sums[place] += sign * value
            if not sums[0]:
                del self._sums[key]

    def rows_of(self, version: str) -> list[dict]:
        """The cells of a version, by the names of their columns."""
        return [dict(zip((*KEYS[1:], *VALUES), (*key[1:], *sums), strict=True))
                for key, sums in self._sums.items() if key[0] == version]

    def newest_day_of(self, version: str) -> str | None:
        """The last of the days on which a version predicted."""
        return next((day for day in sorted(self.days, reverse=True)
                     if self.stored.has_version(self.days[day], version)), None)

    @property
    def versions(self) -> list[str]:
        """All versions that have a cell."""
        return sorted({key[0] for key in self._sums})
