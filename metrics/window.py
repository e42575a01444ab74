"""The counts of a window as an evaluation needs them: days are taken one by one, and none of them is kept whole.

Of each day stays what its own rows of the trend, the drift and the samples ask for; the rest is added up as margins.
Days may come in any order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contract.counts import ROWS, TABLES, DayCounts, canonical, sum_by
from contract.samples import KINDS
from metrics import label_delay, marginals
from metrics.selection.origin_sums import Sums, sums_by_origin
from metrics.unlabelled import bins_by_version

if TYPE_CHECKING:
    import pyarrow as pa

# What is added up over the days: name -> (the table it is of, how).
ADDED = {
    "pairs": ("cells", marginals.by_pair), "bins": ("cells", marginals.by_bin), "ranks": ("cells", marginals.by_rank),
    "weighted_pairs": ("cells", marginals.by_weighted_pair), "weighted_bins": ("cells", marginals.by_weighted_bin),
    "slices": ("slices", marginals.by_value), "people": ("people", None), "coincidences": ("coincidences", None),
    "delays": ("delays", None),
}
WAITING = 50_000  # rows beside those that are added up already, before all are added up again


@dataclass(frozen=True)
class DayFigures:
    """One day. `predictions` is an Arrow table (predicted, confidence_bin, n), `classes` one of the labelled predictions
    (version, label, right, n)."""

    day: str
    rows: dict[str, int]
    origins: dict[str, dict[str, Sums]]  # version -> origin class, "" for the unlabelled
    bins: dict[str, tuple[Any, Any]]  # version -> (rows, right) of each bin (metrics.unlabelled.Bins)
    delays: dict[int, int]
    answered: dict[str, int]  # kind of sample -> predictions that its labels decided
    predictions: Any
    classes: Any
    coincidences: Any = None  # the day's own table: agreement is judged by how much days differ

    @classmethod
    def of(cls, counts: DayCounts, parts: Mapping[str, Any]) -> "DayFigures":
        """The figures of a day's counts; `parts`: what ADDED makes of these, in fewer rows than the cells have."""
        cells = counts.tables["cells"]
        return cls(counts.day, counts.rows, sums_by_origin(cells), bins_by_version(parts["bins"]),
                   label_delay.histogram(counts.tables["delays"]), {kind: _count_answered(cells, kind) for kind in KINDS},
                   sum_by(parts["bins"], ["predicted", "confidence_bin"]), by_class(parts["pairs"]),
                   counts.tables["coincidences"])


@dataclass
class WindowCounts:
    """What `add` was given, by day and added up."""

    by_day: dict[str, DayFigures] = field(default_factory=dict)
    _parts: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in ADDED})

    @classmethod
    def of(cls, days: Iterable[DayCounts]) -> "WindowCounts":
        """The counts of some days."""
        found = cls()
        for counts in days:
            found.add(counts)
        return found

    def add(self, counts: DayCounts) -> None:
        """One more day; ValueError when it is there already."""
        if counts.day in self.by_day:
            raise ValueError(f"{counts.day} was added before")
        parts = {name: margin(counts.tables[table]) if margin else counts.tables[table]
                 for name, (table, margin) in ADDED.items()}
        self.by_day[counts.day] = DayFigures.of(counts, parts)
        for name, part in parts.items():
            self._parts[name].append(part)
            if sum(part.num_rows for part in self._parts[name][1:]) > WAITING + self._parts[name][0].num_rows:
                self.total(name)

    @property
    def days(self) -> list[DayFigures]:
        """The figures of each day, by day."""
        return [self.by_day[day] for day in sorted(self.by_day)]

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each kind."""
        return {name: sum(day.rows[name] for day in self.days) for name in ROWS}

    @property
    def origins(self) -> dict[str, dict[str, Sums]]:
        """Version -> origin class -> sums over all days."""
        found: dict[str, dict[str, Sums]] = {}
        for day in self.days:
            for version, origins in day.origins.items():
                mine = found.setdefault(version, {})
                mine |= {origin: mine.get(origin, Sums()) + sums for origin, sums in origins.items()}
        return found

    def total(self, name: str) -> "pa.Table":
        """The sum over all days of what ADDED names, an Arrow table in canonical order."""
        import pyarrow as pa

        parts, table = self._parts[name], ADDED[name][0]
        if len(parts) != 1:  # one is canonical as it is: a day's, or the sum made last time
            parts[:] = [canonical(table, pa.concat_tables([TABLES[table].arrow().empty_table(), *parts]))]
        return parts[0]


def _count_answered(cells: "pa.Table", origin: str) -> int:
    """Predictions that were decided by this origin; of a review only rows with a known probability, others chose it."""
    import pyarrow.compute as pc

    column = "n" if origin == "audit" else "n_weighted"
    return pc.sum(cells.filter(pc.equal(cells["origin"], origin))[column]).as_py() or 0


def by_class(cells: "pa.Table") -> "pa.Table":
    """(version, label, right, n) of the labelled rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = cells.filter(pc.is_valid(cells["label"]))
    right = pc.multiply(pc.equal(cells["label"], cells["predicted"]).cast(pa.int64()), cells["n"])
    part = pa.table([cells["model_version"], cells["label"], right, cells["n"]], ["version", "label", "right", "n"])
    return sum_by(part, ["version", "label"], ["right", "n"])
