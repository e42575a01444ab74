"""The evaluation of one model over a window of days: from the days' counts to `evaluation.json` (docs/design.md#evaluationjson).

Pure: the same counts give the same document. jobs/count_window.py writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from contract import clock
from contract.counts import ORIGINS, RULES, WEIGHT_SCALE, Origin, sum_by
from contract.documents.evaluation import Consensus, Delay, Drift, Evaluation, LeftOut, Rows, SliceValue, TrendPoint
from contract.documents.version_figures import Version
from contract.samples import Sample
from metrics import label_delay
from metrics.agreement import alpha, labelers
from metrics.drift import drift
from metrics.selection.basis import Basis, basis_of
from metrics.selection.estimate import accuracy, by_origin, estimate
from metrics.selection.origin_sums import select_labelled, sums_by_origin
from metrics.since_dataset import Learnt, count_since_dataset
from metrics.unlabelled import check_on_later, estimate_unlabelled
from metrics.version import Rules, make_version_figures, margins_by_version
from metrics.window import DayFigures, WindowCounts

if TYPE_CHECKING:
    import pyarrow as pa

NO_DATA = "no data"


@dataclass(frozen=True)
class Scope:
    """What an evaluation is of and how its days were counted, as it stands in the document.

    `window` is its first and last day, `as_of` in microseconds since 1970 UTC. `counts` says where each day's counts lie
    ("<inputs>/<known_through>"), `partial` which files were left out (an empty list: none was). `labeler_weights` are
    whole numbers, WEIGHT_SCALE is 1; `fit` names where they, or the scores of rule `scores`, are from; `roles` says what
    other words for roles mean. `version`: rows of this version alone were counted (rule 2, role replay).
    """

    model: str
    window: tuple[str, str]
    as_of: int
    engine: str
    role: str
    counts: Mapping[str, str]
    partial: Sequence[LeftOut] = ()
    fit: str | None = None
    labeler_weights: Mapping[str, int] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    rule: Literal["majority", "scores"] = "majority"
    version: str | None = None

    def consensus(self) -> Consensus:
        """Returns how several votes became one label."""
        weights = {who: weight / WEIGHT_SCALE for who, weight in sorted(self.labeler_weights.items())}
        return {"rule": self.rule, "fit": self.fit, "labeler_weights": weights}


@dataclass(frozen=True)
class Background:
    """What a root knows beside the counts.

    `classes`: version -> the class list of its card, for versions that have one; `samples`: kind (audit, review) -> day ->
    the sample that was drawn; `learnt`: what the live version was made from.
    """

    classes: Mapping[str, list[str]] = field(default_factory=dict)
    samples: Mapping[str, Mapping[str, Sample]] = field(default_factory=dict)
    learnt: Learnt | None = None

    def bases(self, days: Sequence[DayFigures]) -> dict[Origin, Basis]:
        """Returns what the labels of each origin class rest on, over these days."""
        wanted = {day.day for day in days}
        return {o: basis_of(o, {d: s for d, s in self.samples.get(o, {}).items() if d in wanted}, days) for o in ORIGINS}


def build(scope: Scope, counted: WindowCounts, background: Background, rules: Rules) -> Evaluation:
    """Builds the document of one evaluation from the counts of its days."""
    days = counted.days
    delays = {day.day: day.delays for day in days}
    drifts = newest_day_drift(days)
    versions = build_versions(counted, background, rules, drifts)
    document: Evaluation = {
        "schema": "1", "model": scope.model, "window": {"from": scope.window[0], "to": scope.window[1]},
        "as_of": clock.iso(clock.from_us(scope.as_of)), "engine": scope.engine,
        "role": scope.role, "roles": dict(scope.roles), "model_version": scope.version, "rules": RULES,
        "consensus": scope.consensus(), "partial": list(scope.partial), "counts": dict(sorted(scope.counts.items())),
        "rows": cast(Rows, counted.rows), "doubts": [], "versions": versions,  # the names of contract.counts.ROWS
        "confidence": rules.confidence, "accepted_ratio": rules.accepted_ratio,
        "trend": trend(days, label_delay.find_arrival_curve(delays, scope.as_of), scope.as_of, background, rules.confidence),
        "drift": drifts, "since_dataset": count_since_dataset(background.learnt, days),
        "slices": slice_rows(counted.total("slices"), rules.confidence),
        "labelers": labelers(counted.total("people"), rules.confidence),
        "alpha": alpha(counted.total("coincidences"), [day.coincidences for day in days], rules.confidence),
        "delays": label_delay.summary(delays, scope.as_of, delay_rows(counted.total("delays"))),
    }
    return document if versions else {**document, "reason": NO_DATA}


def build_versions(counted: WindowCounts, background: Background, rules: Rules, drifts: Drift) -> dict[str, Version]:
    """Builds the figures of each version; the estimate for unlabelled predictions with its check against later labels."""
    days, origins, bases = counted.days, counted.origins, background.bases(counted.days)
    versions: dict[str, Version] = {}
    for name, margins in margins_by_version(counted).items():
        figures = make_version_figures(margins, origins[name], background.classes.get(name), rules, bases)
        check = check_on_later([(day.day, day.bins[name]) for day in days if name in day.bins], rules.confidence)
        figures["unlabelled_estimate"] = estimate_unlabelled(margins.bins, rules.confidence, drifts, check)
        versions[name] = figures
    return versions


def trend(days: Sequence[DayFigures], arrived: list[float], as_of: int, background: Background,
          confidence: float) -> list[TrendPoint]:
    """Builds a point for each day and version. A day is `provisional` until 90% of its labels are expected to have come.

    `arrived` is the curve that `label_delay.find_arrival_curve` learnt from all days, `as_of` in microseconds since 1970 UTC.
    """
    points: list[TrendPoint] = []
    for day in days:
        arriving, bases = label_delay.find_arriving(day.day, as_of, arrived), background.bases([day])
        for version, origins in sorted(day.origins.items()):
            points.append({"day": day.day, "version": version, "predictions": sum(s.n for s in origins.values()),
                           "labelled": sum(s.n for s in select_labelled(origins).values()),
                           "accuracy": accuracy(origins, confidence),
                           "estimate": estimate(origins, confidence, bases), **arriving})
    return points


def newest_day_drift(days: Sequence[DayFigures]) -> Drift:
    """Returns the drift of the newest day that has predictions against the days of the window before it."""
    filled = [day for day in days if day.predictions.num_rows]
    names = [day.day for day in filled]
    if len(filled) < 2:
        return {"current": names[-1:], "reference": [], "reason": "fewer than two days have predictions"}
    import pyarrow as pa

    before = pa.concat_tables([day.predictions for day in filled[:-1]])
    return {"current": names[-1:], "reference": [names[0], names[-2]], **drift(before, filled[-1].predictions)}


def slice_rows(slices: pa.Table, confidence: float) -> list[SliceValue]:
    """Builds a row for each declared slice, value and version; `slices` has the columns of contract.counts.SLICES."""
    if not slices.num_rows:
        return []
    import pyarrow.compute as pc

    rows: list[SliceValue] = []
    for name, value in _slice_values(slices):
        has_value = pc.is_null(slices["value"]) if value is None else pc.equal(slices["value"], value)
        chosen = slices.filter(pc.fill_null(pc.and_(pc.equal(slices["slice"], name), has_value), False))
        for version, origins in sorted(sums_by_origin(chosen).items()):
            rows.append({"slice": name, "value": value, "version": version,
                         "predictions": sum(s.n for s in origins.values()),
                         "labelled": sum(s.n for s in select_labelled(origins).values()),
                         "accuracy": accuracy(origins, confidence),
                         "by_origin": {o: r["accuracy"] for o, r in by_origin(origins, confidence).items()},
                         "weighted": {o: r["weighted"] for o, r in by_origin(origins, confidence).items()
                                      if r["weighted"]["value"] is not None}})
    return rows


def _slice_values(slices: pa.Table) -> list[tuple[str, str | None]]:
    pairs = sum_by(slices, ["slice", "value"])
    return list(zip(pairs["slice"].to_pylist(), pairs["value"].to_pylist(), strict=True))


def delay_rows(delays: pa.Table) -> list[Delay]:
    """Returns votes by days between prediction and label, and origin class."""
    return delays.select(["days", "origin", "n"]).to_pylist()
