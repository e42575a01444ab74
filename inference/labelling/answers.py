"""What a page or a program says of a batch: labels, skips, answers that are taken back; parsed, and ordered for who reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from contract import ids
from contract.counts import UNNAMED
from contract.errors import UsageError, shorten
from contract.labels import normalise
from contract.samples import uniform
from inference.labelling.documents import BatchHolder


class Said(NamedTuple):
    """What was said of the items of one batch, by prediction id.

    `labels`: None where the person cannot tell, also of what was `skipped`. `withdrawn`: what was said before is taken
    back. `label_ids`: a page sends an answer again under the id that it made for it, so that it counts once.
    """

    labels: dict[str, str | None]
    withdrawn: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    label_ids: dict[str, str] = {}


def parse_said(answers: object) -> Said:
    """Parses `[{"prediction_id", "label" or "wrong": true or "withdraws": true or "skips": true, "label_id"?}]`.

    `wrong` is `≠` (rule 4a); a null label says: cannot tell. UsageError says what is wrong.
    """
    labels = parse_answers(answers)
    assert isinstance(answers, list)  # parse_answers has looked
    withdrawn = {a["prediction_id"] for a in answers if _read_flag(a, "withdraws")}
    skipped = {a["prediction_id"] for a in answers if _read_flag(a, "skips")}
    given = {a["prediction_id"]: a["label_id"] for a in answers if a.get("label_id") is not None}
    bad = next((i for i in given.values() if not isinstance(i, str) or ids.day_of(i) is None), None)
    if bad is not None:
        raise UsageError(f"expected a UUIDv7 as label_id, or none, got {shorten(bad)}.")
    return Said({i: label for i, label in labels.items() if i not in withdrawn}, frozenset(withdrawn), frozenset(skipped),
                {i: text.lower() for i, text in given.items()})


def parse_answers(answers: object) -> dict[str, str | None]:
    """Parses `[{"prediction_id", "label" or "wrong": true}]` to {id: label}.

    `wrong` is `≠` (rule 4a); a null label says: cannot tell. UsageError says what is wrong.
    """
    if not isinstance(answers, list) or not all(isinstance(a, dict) and isinstance(a.get("prediction_id"), str)
                                                for a in answers):
        raise UsageError('expected "answers" as a list of {"prediction_id", "label" or "wrong": true}, got '
                         f"{shorten(answers)}.")
    return {a["prediction_id"]: _parse_label(a) for a in answers}


def _parse_label(answer: dict[str, Any]) -> str | None:
    label, wrong = answer.get("label"), answer.get("wrong", False)
    if not isinstance(wrong, bool) or (wrong and label not in (None, UNNAMED)):
        raise UsageError(f"the answer on {shorten(answer['prediction_id'])}: expected a label or wrong: true, got both "
                         f"{shorten(label)} and {shorten(wrong)}.")
    return UNNAMED if wrong else None if label is None else normalise(label)


def _read_flag(answer: dict[str, Any], name: str) -> bool:
    value = answer.get(name, False)
    if not isinstance(value, bool) or (value and (answer.get("label") is not None or answer.get("wrong"))):
        raise UsageError(f"the answer on {shorten(answer['prediction_id'])}: expected {name}: true without a label, got "
                         f"{shorten(value)} and the label {shorten(answer.get('label'))}.")
    return value


def order_classes(classes: Iterable[str], holder: BatchHolder, batch: str) -> list[str]:
    """Puts classes into an order of this person and batch (its address): random, and the same whenever it is asked for.

    A hand learns where a class is; what stands first gets more answers, so it is not the same for everybody.
    """
    salt = "\n".join(("classes", holder.actor, holder.labeler, holder.visitor, batch, ""))
    return sorted(classes, key=lambda name: uniform(salt, name))
