"""Finds the labels of a dataset that are likely wrong, and writes them to a document; a model's newest one is in force."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from contract import clock, layout
from contract.dataset_record import SPLITS
from contract.documents.manifest import Manifest, read_index
from contract.errors import AlreadyExists, EmptyData
from contract.registry import Registry
from contract.review.suspects import Judge, Suspect, Suspects, read_newest
from contract.rows.items import list_erased
from contract.sequence import NumberedDocuments
from contract.stores.store import Storage
from jobs.suspects import confident, cross_fit
from jobs.suspects.answers import Logged, read_logged
from jobs.suspects.near import find_conflicts
from jobs.suspects.probabilities import Judged, spread
from jobs.suspects.trained import Training, Trainings

Row = dict[str, Any]
FOLDS = 5
LEAST_AGREEMENT = 0.6  # a judge that names fewer of the given labels says more of itself than of them
SURE_AGREEMENT = 0.9  # a version that names fewer has to name more than a head fitted on other pictures does
COLUMNS = ("image_sha256", "image_uri", "prediction_id", "day", "split", "label", "near")
NO_JUDGE = "no version that did not see it, and its picture or others of its class are missing"
WEAK_JUDGE = "what could judge it agrees with too few labels"


class Verdict(NamedTuple):
    """What was found of one row."""

    place: int
    likely: int | None
    score: float | None
    judge: str | None
    near: int | None


def find_suspects(storage: Storage, model: str, made: Manifest, folds: int = FOLDS) -> Suspects:
    """Finds the suspects of a dataset and writes their document, unless the newest says the same already.

    Killed anywhere it has written nothing, and repeated it finds the same. EmptyData: the dataset has no row.
    """
    confident.require_cleanlab()
    erased = list_erased(storage)
    rows = [row for row in read_index(storage, made, COLUMNS).to_pylist() if row["image_sha256"] not in erased]
    if not rows:
        raise EmptyData(f"dataset {made.dataset}: expected pictures whose labels can be looked at, got none.")
    rows.sort(key=lambda row: row["image_sha256"])
    registry = Registry(storage, model)
    trainings = Trainings(registry).find_all()
    logged = read_logged(storage, model, rows, trainings)
    order = {label: n for n, label in enumerate(made.classes)}
    given = np.array([order[row["label"]] for row in rows], np.int64)
    judges = judge(storage, registry, rows, given, made.classes, trainings, logged, folds)
    return write(storage, model, lambda newest: _make_document(model, made, rows, given, judges, folds, newest, erased))


def judge(storage: Storage, registry: Registry, rows: Sequence[Row], given: np.ndarray, classes: Sequence[str],
          trainings: Mapping[str, Training], logged: Logged, folds: int) -> list[tuple[Judged, bool]]:
    """Judges the rows out of sample; returns each judge, and whether it is used. Heads fitted on other pictures judge what no
    version could, and what a version judges worse than they: of two judges that did not learn the labels, of which few are
    wrong, the better one agrees with more of them. After a drift that is the head, in whose folds there are drifted pictures."""
    by_version: dict[str, list[tuple[int, np.ndarray]]] = defaultdict(list)
    for n, row in enumerate(rows):
        answer = logged.answers.get(row["image_sha256"])
        known = trainings[answer.version].card.classes if answer else []
        if answer and row["label"] in known and (p := spread(answer.probabilities, classes, known)) is not None:
            by_version[answer.version].append((n, p))
    judges = [Judged(f"version {version}", np.array([n for n, _ in found]), np.stack([p for _, p in found]),
                     trainings[version].unknown_until is not None)
              for version, found in sorted(by_version.items(), key=lambda one: int(one[0]))]
    sure = [one.places for one in judges if one.find_agreement(given) >= SURE_AGREEMENT]
    left = np.setdiff1d(np.arange(len(rows)), np.concatenate(sure) if sure else []).astype(np.int64)
    fitted = cross_fit.judge_rows(storage, registry, rows, left, classes, folds, trainings, logged.appeared) if len(left) else []
    used = [one for one in judges if _is_used(one, given) and not _is_beaten(one, fitted, given)]
    taken = np.concatenate([one.places for one in used]) if used else np.empty(0, np.int64)
    rest = [part for one in fitted if len((part := one.leave_out(taken)).places)]
    return [(one, one in used) for one in judges] + [(one, _is_used(one, given)) for one in rest]


def _is_beaten(one: Judged, fitted: Sequence[Judged], given: np.ndarray) -> bool:
    """Whether fitted heads name more of the given labels, on the rows that both judge; no rows: no."""
    own = sum(one.count_agreeing(given, within=head.places) for head in fitted)
    return sum(head.count_agreeing(given, within=one.places) for head in fitted) > own


def _is_used(one: Judged, given: np.ndarray) -> bool:
    return one.find_agreement(given) >= LEAST_AGREEMENT


def _make_document(model: str, made: Manifest, rows: Sequence[Row], given: np.ndarray,
                   judges: Sequence[tuple[Judged, bool]], folds: int, newest: Suspects | None,
                   erased: Collection[str]) -> Suspects:
    bits = int(made.settings.get("near_bits", made.leakage.near_bits))
    verdicts = _find(rows, given, [one for one, used in judges if used], bits)
    now = clock.iso(clock.now())
    before = {one.pair: one for one in newest.suspects if one.image_sha256 not in erased} if newest else {}
    found = [_describe(made, rows, verdict, before, now) for verdict in verdicts]
    judged = {int(n) for one, used in judges if used for n in one.places}
    weak = {int(n) for one, used in judges if not used for n in one.places} - judged
    reasons = Counter(WEAK_JUDGE if n in weak else NO_JUDGE for n in range(len(rows)) if n not in judged)
    conflicts = {verdict.place for verdict in verdicts}
    cleared = {(rows[n]["image_sha256"], rows[n]["label"]) for n in judged | conflicts}
    relabelled = {row["image_sha256"] for row in rows}
    kept = [one for one in before.values() if one.pair not in cleared and (
        one.image_sha256 not in relabelled or any(one.pair == (row["image_sha256"], row["label"]) for row in rows))]
    return Suspects(model=model, dataset=made.dataset, created_at=now, near_bits=bits, folds=folds, rows=len(rows),
                    judged=len(judged), not_judged=dict(sorted(reasons.items())),
                    judges=[Judge(name=one.name, rows=len(one.places), agree=one.count_agreeing(given), used=used,
                                  unknown_training_set=one.unknown_training_set) for one, used in judges],
                    suspects=sorted([*found, *kept], key=_rank))


def _find(rows: Sequence[Row], given: np.ndarray, judges: Sequence[Judged], bits: int) -> list[Verdict]:
    """Finds the rows whose label is likely wrong: by all judges' probabilities together, and by nearly equal pictures."""
    places = np.concatenate([one.places for one in judges]) if judges else np.empty(0, np.int64)
    names = [one.name for one in judges for _ in one.places]
    found = confident.find_wrong(given[places], np.concatenate([one.p for one in judges])) if len(places) else None
    by_place = {int(place): n for n, place in enumerate(places)}
    near = find_conflicts([row["near"] for row in rows], given, bits)
    verdicts = []
    for place in range(len(rows)):
        n = by_place.get(place)
        wrong = found is not None and n is not None and bool(found.wrong[n])
        if wrong or place in near:
            score = float(found.score[n]) if found is not None and n is not None else None
            likely = int(found.likely[n]) if wrong and found is not None else None
            verdicts.append(Verdict(place, likely, score, names[n] if n is not None else None, near.get(place)))
    return verdicts


def _describe(made: Manifest, rows: Sequence[Row], verdict: Verdict, before: Mapping[tuple[str, str], Suspect],
              now: str) -> Suspect:
    row, known = rows[verdict.place], before.get((rows[verdict.place]["image_sha256"], rows[verdict.place]["label"]))
    near = rows[verdict.near] if verdict.near is not None else None
    return Suspect(image_sha256=row["image_sha256"], image_uri=row["image_uri"], prediction_id=row["prediction_id"],
                   day=row["day"], split=row["split"], given=row["label"],
                   likely=None if verdict.likely is None else made.classes[verdict.likely],
                   score=None if verdict.score is None else round(verdict.score, 6), judge=verdict.judge,
                   near=near and near["image_sha256"], near_label=near and near["label"], dataset=made.dataset,
                   since=known.since if known else now)


def _rank(one: Suspect) -> tuple[Any, ...]:
    """Sort key: the least likely labels first, equal ones by split and hash; a row without a judge counts as 0.5."""
    return 0.5 if one.score is None else one.score, SPLITS.index(one.split), one.image_sha256


def write(storage: Storage, model: str, make: Any) -> Suspects:
    """Appends the document that `make` makes from the newest one; makes it again where another process was first."""
    sequence = NumberedDocuments(storage, layout.suspects(model))
    while True:
        n, newest = sequence.newest_number(), read_newest(storage, model)
        made: Suspects = make(newest)
        if newest and newest.model_copy(update={"created_at": made.created_at}) == made:
            return newest
        try:
            sequence.append(made.to_dict(), after=n)
        except AlreadyExists:
            continue
        return made
