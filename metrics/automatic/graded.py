"""The predictions of one version by class and confidence bin: how many, and what the labels of one origin say of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from contract.confidence import NO_BIN
from contract.counts import BINS, DayCounts, Origin, sum_by
from contract.documents.version_figures import Estimate, Figure
from contract.samples import is_accepted
from metrics.figure import missing, ratio, share
from metrics.selection.estimate import NO_LABELS, hajek
from metrics.selection.origin_sums import Sums

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = ("predicted", "confidence_bin", "label", "origin")
WEIGHTS = ("n", "n_weighted", "sum_weight", "sum_weight_squared")


@dataclass(frozen=True)
class Part:
    """Some of the predictions: how many, the sums of those that the origin has labels of, and how many of them lie at a class
    and bin where nobody has labelled one."""

    n: int = 0
    sums: Sums = Sums()
    unsupported: int = 0

    def __add__(self, other: "Part") -> "Part":
        return Part(self.n + other.n, self.sums + other.sums, self.unsupported + other.unsupported)


@dataclass(frozen=True)
class Graded:
    """`places`: predicted label -> confidence bin (0-19; NO_BIN without one) -> what lies there, by the labels of `origin`.

    `weighted`: whether rows stand for 1 / their probability, as in the estimate of the version.
    """

    origin: Origin | None
    weighted: bool
    places: Mapping[str, Mapping[int, Part]]

    @cached_property
    def predictions(self) -> int:
        """All predictions of the version."""
        return sum(part.n for of_class in self.places.values() for part in of_class.values())

    @cached_property
    def from_bin(self) -> Sequence[Part]:
        """What a common threshold for all classes accepts, by the bin (0-19) that it is the lower edge of."""
        by_bin = [Part()] * BINS
        for of_class in self.places.values():
            for k, part in of_class.items():
                if k != NO_BIN:
                    by_bin[k] += part
        return list(accumulate(reversed(by_bin)))[::-1]

    def accept(self, thresholds: Mapping[str, float]) -> Part:
        """What thresholds accept: predicted label -> confidence."""
        return sum((self.accept_class(name, thresholds.get(name)) for name in self.places), Part())

    def accept_class(self, name: str, at: float | None) -> Part:
        """What a threshold accepts of the answers of one class; None: nothing."""
        of_class = self.places.get(name, {}) if at is not None else {}
        return sum((part for k, part in of_class.items() if k != NO_BIN and is_accepted(k, at or 0.0)), Part())

    def count_class(self, name: str) -> int:
        """The predictions of one class."""
        return sum(part.n for part in self.places.get(name, {}).values())

    def judge(self, sums: Sums, level: float) -> tuple[Figure, int]:
        """The share of right ones, weighted as the estimate of the version is, and the rows that it rests on."""
        if not self.weighted:
            return share(sums.right, sums.n, level, NO_LABELS), sums.n
        found = hajek(sums, level)
        if found["value"] is None:
            return missing(NO_LABELS), 0
        return {"value": found["value"], "low": found["low"], "high": found["high"]}, sums.n_weighted


def grade_days(days: Iterable[DayCounts], version: str, estimate: Estimate) -> Graded:
    """Grades a version over days, by the labels that its estimate rests on."""
    return grade([day.tables["cells"] for day in days], version, estimate["origin"], weighted=estimate["weighted"])


def grade(tables: Sequence["pa.Table"], version: str, origin: Origin | None, *, weighted: bool) -> Graded:
    """Grades a version from cells (contract.counts.CELLS)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not tables:
        return Graded(origin, weighted, {})
    cells = pa.concat_tables(tables)
    found: dict[str, dict[int, tuple[int, Sums, bool]]] = {}
    for row in sum_by(cells.filter(pc.equal(cells["model_version"], version)), KEYS, WEIGHTS).to_pylist():
        of_class, k = found.setdefault(row["predicted"], {}), NO_BIN if row["confidence_bin"] is None else row["confidence_bin"]
        n, sums, labelled = of_class.get(k, (0, Sums(), False))
        if row["label"] is not None and row["origin"] == origin:
            sums += _sums_of(row)
        of_class[k] = (n + row["n"], sums, labelled or row["label"] is not None)
    return Graded(origin, weighted, {name: {k: Part(n, sums, 0 if labelled else n) for k, (n, sums, labelled) in of_class.items()}
                                     for name, of_class in sorted(found.items())})


def _sums_of(row: Mapping[str, Any]) -> Sums:
    n, n_weighted, weight, squared = (int(row[name] or 0) for name in WEIGHTS)
    if row["label"] == row["predicted"]:
        return Sums(n, n, n_weighted, weight, squared, weight, squared)
    return Sums(n, 0, n_weighted, weight, squared)


def find_share(part: Part, whole: int) -> float | None:
    """The share of a part, a whole count divided; None of nothing."""
    return ratio(part.n, whole, None)
