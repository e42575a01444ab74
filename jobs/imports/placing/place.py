"""Which day an imported row belongs to, and, where an id recurs, which prediction a label is of.

A label belongs to the newest prediction of its id that is not later than the label. Where that does not decide, the row
is an error that says what would: nothing is guessed.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from contract import clock, ids
from contract.counts import UNNAMED
from contract.errors import UsageError
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.imports.foreign.json_files import write_scalar
from jobs.imports.found import Asked, Found, Missing
from jobs.imports.placing.missing import explain_missing
from jobs.imports.placing.predicted import Predicted, find_predictions, name_version
from jobs.imports.placing.repeats import leave_out_lost
from jobs.imports.rows import Row

ByDay = dict[str, list[Row]]


class Undecided(ValueError):
    """A row that could belong to more than one prediction, or to none."""


def place_predictions(storage: Storage, found: Found, asked: Asked) -> ByDay:
    """Returns the rows by day: that of the id, else the column dt, else `--day`, else that of the time.

    Rows that would not be counted go to `bad`.
    """
    disbelieved: list[str] = []
    moved: list[str] = []
    placed: dict[str, list[tuple[str, Row]]] = defaultdict(list)
    for where, row in found.good:
        dt = row.pop("dt", None)
        if asked.per_version:
            row["prediction_id"] = name_version(row["prediction_id"], row["model"], row["model_version"])
        try:
            of_id = find_day(row["prediction_id"])
            day = of_id or _read_day(dt) or asked.day or clock.day_of(row["predicted_at"])
        except Undecided as error:
            found.bad.append(f"{where}: {error}")
            continue
        if of_id and dt is not None and str(dt) != of_id:
            disbelieved.append(f"{where}: dt {str(dt)!r}, the id is of {of_id}")
        elif day != clock.day_of(row["predicted_at"]):
            moved.append(f"{where}: {day}, predicted at {clock.iso(row['predicted_at'])}")
        placed[day].append((where, row))
    found.notes += _say_disbelieved(disbelieved)
    if moved:
        found.notes.append(f"{write_count(len(moved), 'prediction')} placed by the day of an id, of dt or of --day, which is not "
                           f"that of predicted_at (e.g. {moved[0]})")
    return leave_out_lost(storage, placed, found)


def place_labels(storage: Storage, found: Found, asked: Asked) -> ByDay:
    """The rows by the days of their predictions; a row whose prediction cannot be told goes to `bad`."""
    every = asked.per_version or asked.count_orphans  # else a UUIDv7 says enough
    wanted = {row["prediction_id"] for _, row in found.good if every or not ids.is_uuid7(row["prediction_id"])}
    known = find_predictions(storage, wanted, per_version=asked.per_version)
    by_day: ByDay = defaultdict(list)
    disbelieved: list[str] = []
    for where, row in found.good:
        named = {name: _read_named(row.pop(name, None)) for name in ("dt", "model", "model_version")}
        try:
            for day, prediction_id in _find_places(row, named, known.get(row["prediction_id"], ()), asked):
                by_day[day].append(row | {"prediction_id": prediction_id})
                said = named["dt"] if named["dt"] is not None or ids.is_uuid7(prediction_id) else asked.day
                if said is not None and said != day:
                    disbelieved.append(f"{where}: {'dt' if named['dt'] is not None else '--day'} {said!r}, "
                                       f"the prediction is of {day}")
        except _NotThere as error:
            found.missing.append(Missing(where, row["prediction_id"], str(error)))
        except Undecided as error:
            found.bad.append(f"{where}: {error}")
    found.notes += _say_disbelieved(disbelieved)
    _settle_missing(storage, found, asked, bool(by_day))
    return by_day


def _settle_missing(storage: Storage, found: Found, asked: Asked, others: bool) -> None:
    """Labels of no prediction are bad rows, or only counted; where there are no `others`, the likely reason is said."""
    if not found.missing:
        return
    if asked.count_orphans and others:
        found.left_out["orphan"] = len(found.missing)
        return
    found.bad += [f"{one.where}: {one.said}" for one in found.missing]
    if not others:
        found.reasons.append(explain_missing(storage, found.missing))


class _NotThere(Undecided):
    """A label whose prediction the root does not hold, and that names no day."""


def _find_places(row: Row, named: dict[str, str | None], known: Sequence[Predicted], asked: Asked) -> list[tuple[str, str]]:
    """(day, prediction id) of each prediction that the label is of: one, or one for each version where these share ids."""
    prediction_id, at = row["prediction_id"], clock.to_us(row["labeled_at"])
    of_id = None if asked.per_version else find_day(prediction_id)
    if of_id and (known or not asked.count_orphans):
        return [(of_id, prediction_id)]
    if not known:
        said = _read_day(named["dt"]) or asked.day
        if said is None or asked.per_version or asked.count_orphans:
            raise _NotThere(f"no prediction {prediction_id!r} in the root, so its day is not known. Import the predictions "
                           f"first, or name the day in a column dt or by `trueup import labels --day`.")
        return [(said, prediction_id)]
    mine = select_judged(known, named["model"] or asked.model, named["model_version"], asked)
    if not asked.per_version:
        return [(choose_day(at, mine, named["dt"], asked.day), prediction_id)]
    versions = sorted({p.version for p in mine})
    if len(versions) > 1 and row["label"] == UNNAMED and row.get("shown_label") is None:
        raise Undecided(f"{UNNAMED!r} judges the answer that was shown, and {prediction_id!r} was answered by the versions "
                        f"{', '.join(versions)}: name one in a column model_version, or the answer in a column shown_label.")
    of_versions = [[p for p in mine if p.version == version] for version in versions]
    return [(choose_day(at, of_one, named["dt"], asked.day), of_one[0].key) for of_one in of_versions]


def _read_named(value: Any) -> str | None:
    """What a column beside the label says, as text; None where it says nothing."""
    return None if value is None or value != value else write_scalar(value) or None


def select_judged(known: Sequence[Predicted], model: str | None, version: str | None, asked: Asked) -> list[Predicted]:
    """Those predictions of an id that a label can be of: of one model, of the version and the role that are meant."""
    models = sorted({p.model for p in known})
    shown = f"the root's predictions of this id are of {', '.join(map(repr, models))}"
    if model is None and len(models) > 1:
        model = asked.prefer
        if model not in models:
            raise Undecided(f"{shown}: say which model the labels are of, in a column model or by `--model`.")
    if model is not None and model not in models:
        raise Undecided(f"the label is of the model {model!r}, but {shown}.")
    mine = [p for p in known if model is None or p.model == model]
    if version is not None:
        versions = ", ".join(repr(v) for v in sorted({p.version for p in mine}))
        mine = [p for p in mine if p.version == version]
        if not mine:
            raise Undecided(f"the label is of the version {version!r}, but the root's predictions of this id are of "
                            f"{versions}.")
    return [p for p in mine if p.role == asked.role] or mine


def choose_day(at: int, known: Sequence[Predicted], said: str | None, day: str | None) -> str:
    """The day of the prediction that a label given at the moment `at` is of. Undecided says what would settle it.

    `known` are the predictions of one id, at least one. A column dt (`said`) is believed where the id was predicted on
    that day before the label came, `day` where it was predicted on that day at all; else the newest prediction that is
    not later than the label decides. A label earlier than all of them is of the only day there is, or of the day named.
    """
    days = sorted({p.day for p in known})
    earlier = [p for p in known if p.at <= at]
    named = _find_named(days, earlier, said, day)
    chosen = [named] if named else sorted({p.day for p in _newest(earlier)}) or days
    if len(chosen) > 1:
        why = "were made at the same moment" if earlier else "are all later than the label"
        raise Undecided(f"the predictions {known[0].key!r} of {', '.join(chosen)} {why}, so nothing says which one the label is "
                        f"of. Name the day in a column dt or by `trueup import labels --day`.")
    _refuse_uncounted(at, [p for p in known if p.day == chosen[0]])
    return chosen[0]


def _find_named(days: Sequence[str], earlier: Sequence[Predicted], said: str | None, day: str | None) -> str | None:
    """The day that the column dt or `--day` names, where it is one that the label can be of."""
    if said in {p.day for p in earlier}:
        return said
    if day in days:
        return day
    return said if said in days and not earlier else None


def _newest(known: Sequence[Predicted]) -> list[Predicted]:
    last = max((p.at for p in known), default=0)
    return [p for p in known if p.at == last]


def _refuse_uncounted(at: int, of_day: Sequence[Predicted]) -> None:
    """Undecided: the label is of an answer that is not the one that counts for the id on this day."""
    counted = min(of_day, key=lambda p: p.order)
    judged = _newest([p for p in of_day if p.at <= at]) or of_day
    other = next((p for p in judged if p.label != counted.label), None)
    if other:
        raise Undecided(f"{counted.key!r} has two answers on {counted.day}, {counted.label!r} at {_iso(counted)} and "
                        f"{other.label!r} at {_iso(other)}, and only the first of a day counts. Give every prediction an id "
                        f"of its own.")


def _iso(prediction: Predicted) -> str:
    return clock.iso(clock.from_us(prediction.at))


def find_day(prediction_id: str) -> str | None:
    """The day that an id names; None for other ids than UUIDv7. Undecided: one beyond the calendar lies under no day."""
    day = ids.day_of(prediction_id)
    if day is None and ids.is_uuid7(prediction_id):
        raise Undecided(f"{prediction_id!r} is a UUIDv7 beyond the year 9999, of no day that rows can lie under. Give the "
                        f"prediction another id.")
    return day


def _read_day(dt: Any) -> str | None:
    try:
        return None if dt is None else clock.parse_day(str(dt))
    except UsageError as error:
        raise Undecided(f"column 'dt': {error}") from error


def _say_disbelieved(rows: Sequence[str]) -> list[str]:
    """Returns one sentence about the days that rows name and that are not those of their predictions; none without rows."""
    if not rows:
        return []
    has = "its prediction has" if len(rows) == 1 else "their predictions have"
    return [f"{write_count(len(rows), 'row')} with another day than {has}, which was taken instead (e.g. {rows[0]})"]
