"""What gates count: rows of one version, right and labelled, by origin and, over trusted origins, by class, slice and day.

`tally_of` counts all that a policy asks for: the tally, the newest days, the baseline, slices, calibration, drift.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.accepting.thresholds import Thresholds
from contract.counts import ORIGINS, UNNAMED, DayCounts, add, sum_by
from contract.documents.version_figures import Figure
from contract.errors import UsageError
from contract.policy import GatePolicy
from metrics.accepted import find_accepted
from metrics.calibration import NO_CONFIDENCE, error_and_margin
from metrics.cells import by_version
from metrics.drift import newest_day_of
from metrics.marginals import by_price
from metrics.selection.origin_sums import Sums

if TYPE_CHECKING:
    import pyarrow as pa


WEIGHTS = ("n", "n_weighted", "sum_weight", "sum_weight_squared")


@dataclass(frozen=True)
class RightCount:
    """`right` of `n` rows."""

    right: int = 0
    n: int = 0

    def __add__(self, other: "RightCount") -> "RightCount":
        return RightCount(self.right + other.right, self.n + other.n)


@dataclass(frozen=True)
class Tally:
    """Whole numbers of one model version over a window. All but `origins` rest on the trusted origins alone.

    `windows` holds the newest so many days of it, `slices` is by (slice, value), `baseline` what the policy compares
    with (None: it names nothing), `calibration` is {"ece", "margin"} and `drift` {"js", "js_95"}, each null with a reason.
    `weights` has the weighted sums of the origins, `newest_day` is the last day with a prediction (None: not known).
    `unnamed` counts, by predicted label, the rows that were called wrong without a class (rule 4a). `of_class` has the sums
    of each origin by kind (class_recall, class_precision, unnamed, slices) and class or slice. `costs`: origin -> what its
    mistakes cost per 1,000 predictions. `accepted`: what thresholds accept (None: none hold for the version).
    """

    predictions: int = 0
    origins: dict[str, RightCount] = field(default_factory=dict)
    recall: dict[str, RightCount] = field(default_factory=dict)
    precision: dict[str, RightCount] = field(default_factory=dict)
    windows: dict[int, "Tally"] = field(default_factory=dict)
    slices: dict[tuple[str, str], RightCount] = field(default_factory=dict)
    baseline: RightCount | None = None
    calibration: Mapping[str, Any] = field(default_factory=dict)
    drift: Mapping[str, Any] = field(default_factory=dict)
    weights: dict[str, Sums] = field(default_factory=dict)
    newest_day: str | None = None
    unnamed: dict[str, int] = field(default_factory=dict)
    of_class: dict[str, dict[str, dict[Any, Sums]]] = field(default_factory=dict)
    costs: Mapping[str, Figure] = field(default_factory=dict)
    accepted: "AcceptedTally | None" = None

    @property
    def labelled(self) -> int:
        """Predictions with a consensus label, of whatever origin."""
        return sum(share.n for share in self.origins.values())

    def of(self, origins: Sequence[str]) -> RightCount:
        """Right and labelled over some origins; plain counts, which add exactly."""
        return sum((self.origins.get(o, RightCount()) for o in origins), RightCount())

    def sums(self, origin: str) -> Sums:
        """The sums that a share of one origin rests on; without known weights its plain counts."""
        plain = self.origins.get(origin, RightCount())
        return self.weights.get(origin) or Sums(plain.n, plain.right)


@dataclass(frozen=True)
class AcceptedTally:
    """What thresholds accept unseen over the days whose labels did not choose them; `predictions` are all of these days."""

    tally: Tally
    predictions: int
    days: int
    evaluation: str


def add_changes(whole: Tally, change: Tally) -> Tally:
    """A tally of which some rows went elsewhere: what `change` counts is added, so that what goes is negative there.

    Slices, baseline, calibration and drift stay those of the whole.
    """
    kinds = {o: {kind: _add_keys(whole.of_class.get(o, {}).get(kind, {}), change.of_class.get(o, {}).get(kind, {}), Sums())
                 for kind in {**whole.of_class.get(o, {}), **change.of_class.get(o, {})}}
             for o in {**whole.of_class, **change.of_class}}
    none = RightCount()
    return replace(
        whole, predictions=whole.predictions + change.predictions, origins=_add_keys(whole.origins, change.origins, none),
        recall=_add_keys(whole.recall, change.recall, none), precision=_add_keys(whole.precision, change.precision, none),
        weights=_add_keys(whole.weights, change.weights, Sums()), unnamed=_add_keys(whole.unnamed, change.unnamed, 0),
        windows={days: add_changes(part, change.windows.get(days, Tally())) for days, part in whole.windows.items()},
        of_class=kinds)


def _add_keys(ours: Mapping[Any, Any], theirs: Mapping[Any, Any], nothing: Any) -> dict[Any, Any]:
    return {key: ours.get(key, nothing) + theirs.get(key, nothing) for key in {**ours, **theirs}}


def tally(cells: "pa.Table", version: str, trusted: Sequence[str], classes: Sequence[str] = ()) -> Tally:
    """The tally of one version from Arrow cells (contract.counts.CELLS); `classes` are listed even without rows."""
    return tally_of_rows(_rows(cells, version), trusted, classes)


def tally_of_rows(rows: Iterable[Mapping[str, Any]], trusted: Sequence[str], classes: Sequence[str] = ()) -> Tally:
    """The same from one version's sums by origin, label and predicted label, with the values of WEIGHTS."""
    origins: dict[str, RightCount] = {}
    recall, precision = ({name: RightCount() for name in classes} for _ in range(2))
    predictions = 0
    unnamed: dict[str, int] = {}
    of_class: dict[str, dict[str, dict[Any, Sums]]] = {}
    weights: dict[str, Sums] = {}
    for row in rows:
        predictions += row["n"]
        if row["label"] is None:
            continue
        share = RightCount(row["n"] if row["label"] == row["predicted"] else 0, row["n"])
        _put(origins, row["origin"], share)
        weights[row["origin"]] = weights.get(row["origin"], Sums()) + (sums := sum_row(row))
        if row["origin"] not in trusted:
            continue
        kinds = of_class.setdefault(row["origin"], {})
        _put(precision, row["predicted"], share)
        _put_sums(kinds, "class_precision", row["predicted"], sums)
        if row["label"] == UNNAMED:
            unnamed[row["predicted"]] = unnamed.get(row["predicted"], 0) + row["n"]
            _put_sums(kinds, "unnamed", row["predicted"], sums)
        else:
            _put(recall, row["label"], share)
            _put_sums(kinds, "class_recall", row["label"], sums)
    return Tally(predictions, origins, recall, precision, weights=weights, unnamed=unnamed, of_class=of_class)


def _rows(cells: "pa.Table", version: str) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    ours = cells.filter(pc.equal(cells["model_version"], version))
    return sum_by(ours, ["origin", "label", "predicted"], WEIGHTS).to_pylist()


def sum_row(row: Mapping[str, Any]) -> Sums:
    """The sums of rows of one label and predicted label, from their counts and weights."""
    weight, squared = int(row["sum_weight"] or 0), int(row["sum_weight_squared"] or 0)
    if row["label"] != row["predicted"]:
        return Sums(row["n"], 0, row["n_weighted"] or 0, weight, squared)
    return Sums(row["n"], row["n"], row["n_weighted"] or 0, weight, squared, weight, squared)


def _put_sums(kinds: dict[str, dict[Any, Sums]], kind: str, key: Any, sums: Sums) -> None:
    found = kinds.setdefault(kind, {})
    found[key] = found.get(key, Sums()) + sums


def _put(shares: dict[str, RightCount], key: str, share: RightCount) -> None:
    shares[key] = shares.get(key, RightCount()) + share


def tally_of(policy: GatePolicy, days: Sequence[DayCounts], window: Mapping[str, Any], version: str,
             classes: Sequence[str] = (), thresholds: Thresholds | None = None) -> Tally:
    """All that the policy judges, from the counts of the evaluation's days; `thresholds`: those in force, of whatever version.

    UsageError for a baseline that is neither a version nor a range of days.
    """
    tables, trusted = add(days)[0], policy.trusted_origins
    cells = tables["cells"]
    whole = tally(cells, version, trusted, classes)
    slices = sum_slices(tables["slices"], version, trusted) if policy.min_slice_accuracy is not None else {}
    for origin, found in slices.items():
        whole.of_class.setdefault(origin, {})["slices"] = found
    return Tally(
        whole.predictions, whole.origins, whole.recall, whole.precision,
        windows={n: tally(add(take_newest(days, window["to"], n))[0]["cells"], version, trusted)
                 for n in policy.window_days},
        slices=add_origins(slices),
        baseline=None if policy.baseline is None else tally_baseline(policy, days, version).of(trusted),
        calibration=measure_calibration(cells, version, trusted, policy) if policy.max_calibration_error is not None else {},
        drift=newest_day_of(days, version) if policy.max_drift is not None else {},
        weights=whole.weights, newest_day=find_newest_day(days, version), unnamed=whole.unnamed, of_class=whole.of_class,
        costs=price_mistakes(policy, whole, cells, version, classes) if policy.max_cost_per_1000 is not None else {},
        accepted=tally_accepted(policy, days, version, thresholds) if policy.min_accepted_accuracy is not None else None)


def tally_accepted(policy: GatePolicy, days: Sequence[DayCounts], version: str,
                   thresholds: Thresholds | None) -> AcceptedTally | None:
    """What the thresholds accept of the days that did not choose them; None when there are none of this version."""
    if thresholds is None or thresholds.version != version:
        return None
    later = [day for day in days if not thresholds.chose_by(day.day)]
    cells = add(later)[0]["cells"]
    taken = tally(cells.filter(find_accepted(cells, thresholds.at)), version, policy.trusted_origins)
    return AcceptedTally(taken, tally(cells, version, ()).predictions, len(later), thresholds.evaluation)


def find_newest_day(days: Sequence[DayCounts], version: str) -> str | None:
    """The last of the days on which the version predicted; None when it did on none."""
    import pyarrow.compute as pc

    there = [d.day for d in days if pc.any(pc.equal(d.tables["cells"]["model_version"], version)).as_py()]
    return max(there, default=None)


def count_further(days: Sequence[DayCounts], before: Mapping[str, int], since: str, version: str,
                  trusted: Sequence[str]) -> int:
    """Trusted labels of a version that were not there `before` (day -> labels), over days from `since` on."""
    return sum(max(tally(d.tables["cells"], version, trusted).of(trusted).n - before.get(d.day, 0), 0)
               for d in days if d.day >= since)


def tally_baseline(policy: GatePolicy, days: Sequence[DayCounts], version: str) -> Tally:
    """The baseline's tally: another version over the whole window, or the same version over some of its days."""
    first, slash, last = str(policy.baseline).partition("/")
    if not slash:
        if not first.isdigit():
            raise UsageError(f"gates.baseline {policy.baseline!r}: expected a version such as 3, or days such as "
                             f"2026-10-01/2026-10-28.")
        return tally(add(days)[0]["cells"], first, policy.trusted_origins)
    return tally(add([d for d in days if first <= d.day <= last])[0]["cells"], version, policy.trusted_origins)


def take_newest(days: Sequence[DayCounts], last: str, n: int) -> list[DayCounts]:
    """The counts of the newest n days of a window that ends with `last`."""
    first = find_first_day(last, n)
    return [d for d in days if first <= d.day <= last]


def find_first_day(last: str, n: int) -> str:
    """The first of the newest n days of a window that ends with `last`."""
    return (date.fromisoformat(last) - timedelta(days=n - 1)).isoformat()


def sum_slices(table: "pa.Table", version: str, trusted: Sequence[str]) -> dict[str, dict[Any, Sums]]:
    """Origin -> (slice, value) -> the sums of its labelled rows; rows without a value are no group of their own."""
    import pyarrow.compute as pc

    ours = table.filter(pc.and_(pc.equal(table["model_version"], version), pc.is_valid(table["label"])))
    found: dict[str, dict[Any, Sums]] = {}
    for row in sum_by(ours, ["slice", "value", "origin", "predicted", "label"], WEIGHTS).to_pylist():
        if row["origin"] in trusted and row["value"] is not None:
            _put_sums(found, row["origin"], (row["slice"], row["value"]), sum_row(row))
    return found


def add_origins(sums: Mapping[str, Mapping[Any, Sums]]) -> dict[Any, RightCount]:
    """Right and labelled of each key over all origins: plain counts, which add exactly."""
    found: dict[Any, RightCount] = {}
    for of_origin in sums.values():
        for key, part in of_origin.items():
            _put(found, key, RightCount(part.right, part.n))
    return found


def measure_calibration(cells: "pa.Table", version: str, trusted: Sequence[str], policy: GatePolicy) -> dict[str, Any]:
    """{"ece", "margin", "n"} over the trusted labels of one version (metrics.calibration), or a reason."""
    ours = by_version(cells).get(version)
    if ours is None:
        return {"ece": None, "margin": None, "n": 0, "reason": NO_CONFIDENCE["reason"]}
    believed = np.isin(ours.origin, [ORIGINS.index(o) for o in trusted if o in ORIGINS])
    return error_and_margin(ours.where(believed), policy.confidence)


def price_mistakes(policy: GatePolicy, whole: Tally, cells: "pa.Table", version: str,
                   classes: Sequence[str]) -> dict[str, Figure]:
    """Origin -> cost of the mistakes per 1,000 predictions (metrics.costs), weighted as the share of that origin is."""
    from metrics.costs.describe import Priced
    from metrics.costs.table import Costs

    costs = Costs(policy.costs, policy.default_cost)
    ours = by_version(by_price(cells)).get(version)
    return {} if ours is None else {
        origin: Priced(ours, origin, costs, classes or ours.classes, policy.confidence,
                       weighted=whole.sums(origin).weighted).expect()
        for origin in ORIGINS if origin in policy.trusted_origins and whole.sums(origin).n}
