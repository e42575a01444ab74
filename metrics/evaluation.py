"""The evaluation of one model over a window of days: from the days' counts to `evaluation.json` (docs/design.md#evaluationjson).

Pure: the same counts give the same document. jobs/evaluate.py writes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from contract import clock
from contract.counts import ORIGINS, RULES, WEIGHT_SCALE, summed
from contract.samples import Sample
from metrics import label_delay
from metrics.agreement import alpha, labelers
from metrics.basis import basis_of
from metrics.drift import drift
from metrics.estimate import accuracy, by_origin, estimate
from metrics.origin_sums import labelled_sums, sums_by_origin
from metrics.since_dataset import Learnt, since_dataset
from metrics.unlabelled import check_on_later, unlabelled_estimate
from metrics.version import Margins, Rules, margins_by_version, of_version
from metrics.window import DayFigures, WindowCounts

NO_DATA = "no data"


def build(*, model: str, window: tuple[str, str], as_of: int, engine: str, role: str, counts: Mapping[str, str],
          window_counts: WindowCounts, classes: Mapping[str, list[str] | None], partial: Sequence[Any] = (),
          accepted_ratio: float = 0.1, bucket_edges: Sequence[float] | None = None, confidence: float = 0.95,
          samples: Mapping[str, Mapping[str, Sample]] | None = None, learnt: Learnt | None = None,
          fit: str | None = None, labeler_weights: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The document of one evaluation.

    `window` names its first and last day, `as_of` is in microseconds since 1970, `counts` says where each day's counts
    lie ("<inputs>/<known_through>"), `window_counts` are those counts, `classes` is the class list of each version that
    has a card, and `partial` lists the files that were left out (an empty list: nothing was). `samples`: kind (audit,
    review) -> day -> the sample that was drawn; `learnt`: what the live version was made from. `labeler_weights` are
    whole numbers, WEIGHT_SCALE is 1, and `fit` names where they are from.
    """
    rules = Rules(accepted_ratio, tuple(bucket_edges) if bucket_edges else None, confidence)
    days, origins = window_counts.days, window_counts.origins
    history = {day.day: day.delays for day in days}
    bases = {o: basis_of(o, (samples or {}).get(o, {}), days) for o in ORIGINS}
    found, drifts = margins_by_version(window_counts), newest_day_drift(days)
    versions = {v: of_version(of_all, origins[v], classes.get(v), rules, bases) for v, of_all in found.items()}
    _check_unlabelled(versions, found, days, drifts, confidence)
    document = {
        "schema": "1", "model": model, "window": {"from": window[0], "to": window[1]},
        "as_of": clock.iso(clock.from_us(as_of)), "engine": engine, "role": role, "rules": RULES,
        "consensus": {"rule": "majority", "fit": fit,
                      "labeler_weights": {who: w / WEIGHT_SCALE for who, w in sorted((labeler_weights or {}).items())}},
        "partial": list(partial), "counts": dict(sorted(counts.items())), "rows": window_counts.rows, "versions": versions,
        "confidence": confidence, "accepted_ratio": accepted_ratio,
        "trend": trend(days, history, as_of, confidence, samples or {}), "drift": drifts,
        "since_dataset": since_dataset(learnt, days),
        "slices": slice_rows(window_counts.total("slices"), confidence),
        "labelers": labelers(window_counts.total("people"), confidence), "alpha": alpha(window_counts.total("coincidences")),
        "delays": {**label_delay.summary(history, as_of), "labels": delay_rows(window_counts.total("delays"))},
    }
    return document if versions else {**document, "reason": NO_DATA}


def _check_unlabelled(versions: dict[str, Any], margins: Mapping[str, Margins], days: Sequence[DayFigures],
                      drifts: Mapping[str, Any], confidence: float) -> None:
    """Each version's estimate for unlabelled predictions, with its check against later labels."""
    for version, of_all in margins.items():
        check = check_on_later([(d.day, d.bins[version]) for d in days if version in d.bins], confidence)
        versions[version]["unlabelled_estimate"] = unlabelled_estimate(of_all.bins, confidence, drifts, check)


def trend(days: Sequence[DayFigures], history: Mapping[str, dict[int, int]], as_of: int, confidence: float,
          samples: Mapping[str, Mapping[str, Sample]]) -> list[dict[str, Any]]:
    """Day by day and version by version. A day is `provisional` until 90% of its labels are expected to have come."""
    learnt, rows = label_delay.arrived(history, as_of), []
    for day in days:
        arriving = label_delay.arriving(day.day, as_of, learnt)
        bases = {o: basis_of(o, {d: s for d, s in samples.get(o, {}).items() if d == day.day}, [day]) for o in ORIGINS}
        for version, origins in sorted(day.origins.items()):
            labelled = sum(s.n for s in labelled_sums(origins).values())
            rows.append({"day": day.day, "version": version, "predictions": sum(s.n for s in origins.values()),
                         "labelled": labelled, "accuracy": accuracy(origins, confidence),
                         "estimate": estimate(origins, confidence, bases), **arriving})
    return rows


def newest_day_drift(days: Sequence[DayFigures]) -> dict[str, Any]:
    """Drift of the newest day that has predictions against the days of the window before it."""
    filled = [day for day in days if day.predictions.num_rows]
    names = [day.day for day in filled]
    if len(filled) < 2:
        return {"current": names[-1:], "reference": [], "reason": "fewer than two days have predictions"}
    import pyarrow as pa

    before = pa.concat_tables([day.predictions for day in filled[:-1]])
    return {"current": names[-1:], "reference": [names[0], names[-2]], **drift(before, filled[-1].predictions)}


def slice_rows(table: Any, confidence: float) -> list[dict[str, Any]]:
    """Per declared slice, value and version: predictions, labelled, accuracy by all labels and by origin."""
    if not table.num_rows:
        return []
    import pyarrow as pa
    import pyarrow.compute as pc

    none = pa.nulls(table.num_rows, pa.decimal128(38, 0))
    found = []
    for name, value in _pairs(table):
        chosen = pc.and_(pc.equal(table["slice"], name),
                         pc.is_null(table["value"]) if value is None else pc.equal(table["value"], value))
        part = table.filter(pc.fill_null(chosen, False))
        cells = part.append_column("n_weighted", pa.nulls(part.num_rows, pa.int64()))
        for column in ("sum_weight", "sum_weight_squared"):
            cells = cells.append_column(column, none[:part.num_rows])
        for version, origins in sorted(sums_by_origin(cells).items()):
            found.append({"slice": name, "value": value, "version": version,
                          "predictions": sum(s.n for s in origins.values()),
                          "labelled": sum(s.n for s in labelled_sums(origins).values()),
                          "accuracy": accuracy(origins, confidence),
                          "by_origin": {o: r["accuracy"] for o, r in by_origin(origins, confidence).items()}})
    return found


def _pairs(table: Any) -> list[tuple[str, str | None]]:
    pairs = summed(table, ["slice", "value"])
    return list(zip(pairs["slice"].to_pylist(), pairs["value"].to_pylist(), strict=True))


def delay_rows(table: Any) -> list[dict[str, Any]]:
    """Votes by days between prediction and label, and origin class."""
    return table.select(["days", "origin", "n"]).to_pylist()
