"""From what a person said to a label row: what is checked, and what the server sets (docs/design.md#http)."""

from datetime import datetime, timedelta
from typing import Any

from contract import clock, ids
from contract.counts import UNNAMED
from contract.errors import BadLabel, shorten
from contract.labels import normalise
from inference.auth import Caller, Refused

# Clocks of machines differ; an id that is further ahead than this was made up.
FUTURE = timedelta(minutes=5)
MOST_LABELS = 10_000


def check_id(prediction_id: object, now: datetime, oldest: timedelta, what: str) -> str:
    """Returns a UUIDv7, in small letters, that is neither from the future nor older than `oldest`.

    Refused (422) otherwise, by the name `what`.
    """
    if not isinstance(prediction_id, str) or ids.day_of(prediction_id) is None:
        raise Refused(422, "bad_prediction_id", f"{what}: expected a UUIDv7 as prediction id, got {shorten(prediction_id)}.")
    moment = ids.moment_of(prediction_id)
    if moment > now + FUTURE:
        raise Refused(422, "id_from_the_future", f"{what}: {prediction_id} is from {clock.iso(moment)}, and it is "
                      f"{clock.iso(now)}. Check the clock of the machine that made it.")
    if moment < now - oldest:
        raise Refused(422, "id_too_old", f"{what}: {prediction_id} is from {clock.iso(moment)}; the oldest accepted is "
                      f"{clock.iso(now - oldest)}.")
    return prediction_id.lower()  # predictions and labels join by their bytes


def check_day(day: str, now: datetime, oldest: timedelta, what: str) -> None:
    """Refused (422): the day of a prediction is older than `oldest`; the error begins with `what`."""
    if clock.parse_day(day) < clock.day_of(now - oldest):
        raise Refused(422, "id_too_old", f"{what}: the prediction is of {day}; the oldest accepted day is "
                      f"{clock.day_of(now - oldest)} (serve.label_days).")


def decide_origin(claimed: object, caller: Caller, what: str) -> str:
    """Decides the origin of a judgement over the API: feedback, or import for an admin who claims it.

    Refused (403, 422).
    """
    if claimed in (None, "feedback"):
        return "feedback"
    if claimed == "import":
        if caller.may("admin"):
            return "import"
        raise Refused(403, "forbidden_origin", f"{what}: the origin import needs the role admin.")
    if claimed in ("review", "audit"):
        raise Refused(403, "forbidden_origin", f"{what}: the origin {claimed} comes only from the page /{claimed}, which "
                      f"knows what was asked and how.")
    raise Refused(422, "bad_origin", f"{what}: expected the origin feedback or import, got {shorten(claimed)}.")


def make_label_row(judgement: object, what: str, *, caller: Caller, now: datetime, oldest: timedelta, origin: str | None,
                   labeler_default: str | None, saw_prediction: bool | None, shown_label: str | None = None,
                   day: str | None = None) -> dict[str, Any]:
    """Makes the row of one judgement, without what the sample says of it. Refused names the judgement by `what`.

    `origin` None: what the caller may claim. `saw_prediction` None: what the judgement says. `shown_label`: the answer
    that a page showed, for judgements that call it wrong. `day`: of the prediction, where the server handed it out; such an
    id may be of any kind (imported logs), and is kept as it is.
    """
    if not isinstance(judgement, dict):
        raise Refused(422, "bad_label", f"{what}: expected a JSON object, got {type(judgement).__name__}.")
    withdraws = _read_flag(judgement, "withdraws", what)
    try:
        label = _read_label(judgement, bool(withdraws), what)
        named = judgement.get("labeler")
        labeler = caller.name_labeler(labeler_default) if named is None else find_labeler(normalise(named), caller)
    except BadLabel as error:
        raise Refused(422, "bad_label", f"{what}: {error}") from None
    saw = _read_flag(judgement, "saw_prediction", what) if saw_prediction is None else saw_prediction
    saw = True if saw is None and label == UNNAMED else saw  # nobody rejects an answer unseen
    if day is None:
        prediction_id = check_id(judgement.get("prediction_id"), now, oldest, what)
    else:
        check_day(day, now, oldest, what)
        prediction_id = str(judgement.get("prediction_id"))
    own = judgement.get("label_id") if origin else None  # of a page, which sends it again until it is answered
    return {"label_id": own or ids.uuid7(now), "prediction_id": prediction_id,
            "label": label, "labeler": labeler, "labeled_at": clock.to_us(now), "saw_prediction": saw,
            "origin": origin or decide_origin(judgement.get("origin"), caller, what), "withdraws": withdraws,
            "shown_label": shown_label if label == UNNAMED else None, "actor": caller.id}


def find_labeler(named: str, caller: Caller) -> str:
    """Finds under whom a judgement is kept that comes with a labeler's name: a key that is one person is that person, whoever
    it names, because a judgement must not be lost for its name."""
    try:
        return caller.name_labeler(named)
    except Refused:
        return caller.name_labeler()


def explain_labelers(judgements: list[Any], caller: Caller) -> str | None:
    """Says whose names were not kept, in an answer to judgements that were taken; None when all were."""
    names = {n for j in judgements if isinstance(j, dict) and isinstance(n := j.get("labeler"), str)}
    lost = sorted(n for n in names if not caller.may_speak_for(n))
    if not lost:
        return None
    return (f"kept under {caller.id}, not under {', '.join(map(shorten, lost[:3]))}{' …' if lost[3:] else ''}: this key is one "
            f"person. For a key that stands for several people run: trueup keys add NAME --role label --may-name-labelers.")


def _read_label(judgement: dict[str, Any], withdraws: bool, what: str) -> str | None:
    """Reads the class that was named, `≠` for an answer that was only called wrong (rule 4a); None of a withdrawal.

    Raises BadLabel; Refused where it says two things at once.
    """
    label = judgement.get("label")
    if _read_flag(judgement, "wrong", what):
        if label not in (None, UNNAMED) or withdraws:
            other = "withdraws" if withdraws else f"the label {shorten(label)}"
            raise Refused(422, "bad_label", f"{what}: expected either wrong or a class, got wrong and {other}. A label that "
                          f"names the class says already that the answer is wrong.")
        return UNNAMED
    if withdraws and label is None:
        return None
    if not isinstance(label, str):
        raise Refused(422, "bad_label", f"{what}: expected label to be one class as text, such as \"7\", got "
                      f"{_show(label)}.{' Leave out what nobody labelled.' if label is None else ''}")
    return normalise(label)


def _show(value: object) -> str:
    """A value as JSON writes it, shortened."""
    return {None: "none", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else shorten(value)


def _read_flag(judgement: dict[str, Any], name: str, what: str) -> bool | None:
    value = judgement.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(422, "bad_label", f"{what}: expected {name} to be true, false or absent, got {shorten(value)}.")
    return value
