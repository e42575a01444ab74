"""What gold items say of each labeler: answers, how many of them are right, and what was mistaken for what.

Counted from the raw label rows of the predictions' days, of any origin and time, also from before the answer was known. For
each person and gold item the newest row counts, by the order of rule 3.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from command.terminal import align, escape
from contract import clock, ids, layout
from contract.counts import UNNAMED
from contract.documents.gold import GoldAnswer, read_gold
from contract.documents.version_figures import Figure
from contract.records import LABEL
from contract.rows.reading import rows_where
from contract.stores.store import Storage
from contract.texts.figures import write_count, write_figure
from jobs.engines.question import Question
from jobs.engines.rules import LABEL_ORDER, Row, drop_duplicates, find_known_time, in_order, judges_other_answer
from metrics.figure import share
from metrics.intervals import CONFIDENCE

NOTHING_BLIND = "no gold item was answered blind"
NOBODY = "(nobody named)"
SHOWN = 5  # confusions of a labeler that the text names


@dataclass
class Measured:
    """What one labeler did with gold items; `said` counts (label said, known label) of blind answers, `in_sight` of those
    given with the model's answer in sight."""

    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_sight: Counter[tuple[str, str]] = field(default_factory=Counter)
    unnamed_wrong: int = 0
    withdrawn: int = 0

    def take(self, row: Row, known: str) -> None:
        """Counts the newest row on one gold item."""
        if row["withdraws"]:
            self.withdrawn += 1
        elif row["label"] == UNNAMED:
            self.unnamed_wrong += 1
        else:
            (self.in_sight if row["saw_prediction"] else self.said)[str(row["label"]), known] += 1


def measure(storage: Storage, model: str, first: str | None = None, last: str | None = None) -> dict[str, Any]:
    """Returns the report as a document: of each labeler the counts, and the share of blind answers that are right.

    `first` and `last`: prediction days, both included; None: no bound. ForeignSchema: a label file that cannot be read.
    """
    by_day = list_by_day(storage, model, first, last)
    question = Question(model, as_of=clock.now_us())
    people: defaultdict[str | None, Measured] = defaultdict(Measured)
    for day, answers in sorted(by_day.items()):
        for labeler, answer, row in find_newest_rows(storage, day, answers, question):
            people[labeler].take(row, answer.label or "")
    return {"model": model, "window": {"from": first, "to": last}, "as_of": clock.iso(clock.from_us(question.as_of)),
            "gold": sum(map(len, by_day.values())), "labelers": _list_people(people)}


def list_by_day(storage: Storage, model: str, first: str | None = None,
                last: str | None = None) -> dict[str, dict[str, GoldAnswer]]:
    """Prediction day -> id -> known answer, of the gold items of these days."""
    by_day: defaultdict[str, dict[str, GoldAnswer]] = defaultdict(dict)
    for prediction_id, answer in read_gold(storage, model).items():
        day = ids.day_of(prediction_id) or ""
        if (first or day) <= day <= (last or day):
            by_day[day][prediction_id] = answer
    return dict(by_day)


def find_newest_rows(storage: Storage, day: str, answers: Mapping[str, GoldAnswer],
                     question: Question) -> Iterator[tuple[str | None, GoldAnswer, Row]]:
    """Yields (labeler, gold item, their newest row on it) of the gold items of one day."""
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for _, row in rows_where(storage, layout.LABELS, day, "prediction_id", answers, LABEL.names, unreadable=None):
        known = _convert(row)
        if known["labeled_at"] is not None and (known["label"] or known["withdraws"]) and find_known_time(
                known["labeled_at"], known["recorded_at"]) <= question.as_of:
            rows[str(row["prediction_id"])].append(known)
    for prediction_id, found in sorted(rows.items()):
        answer, newest = answers[prediction_id], {}
        shown = {"predicted_label": answer.predicted}
        for row in drop_duplicates(in_order(found, LABEL_ORDER)):
            if not judges_other_answer(shown, row, question):
                newest[row["labeler"]] = row
        yield from ((labeler, answer, row) for labeler, row in newest.items())


def _convert(row: Row) -> Row:
    """Files of others have times in several units, with and without a zone; the order wants whole microseconds."""
    times = {name: clock.to_us(value) for name, value in row.items() if isinstance(value, datetime)}
    return row | times | {"label_id": row["label_id"] or None}  # an empty id counts as null


def _list_people(people: Mapping[str | None, Measured]) -> list[dict[str, Any]]:
    found = [_describe_person(labeler, of) for labeler, of in people.items()]
    return sorted(found, key=lambda p: (-p["answered"], p["labeler"] is None, p["labeler"] or ""))


def _describe_person(labeler: str | None, of: Measured) -> dict[str, Any]:
    right, answered = _count_right(of.said), of.said.total()
    figure: Figure = share(right, answered, CONFIDENCE, NOTHING_BLIND)
    confused = sorted(((n, said, known) for (said, known), n in of.said.items() if said != known),
                      key=lambda c: (-c[0], c[1:]))
    return {"labeler": labeler, "answered": answered, "right": right, "share": figure,
            "confusions": [{"said": said, "known": known, "count": n} for n, said, known in confused],
            "saw_prediction": {"answered": of.in_sight.total(), "right": _count_right(of.in_sight)},
            "unnamed_wrong": of.unnamed_wrong, "withdrawn": of.withdrawn}


def _count_right(said: Counter[tuple[str, str]]) -> int:
    return sum(n for (label, known), n in said.items() if label == known)


def describe(found: Mapping[str, Any]) -> str:
    """The report for people."""
    window = found["window"]
    days = f", prediction days {window['from'] or 'all'} to {window['to'] or 'all'}" if any(window.values()) else ""
    head = f"{found['model']}: {write_count(found['gold'], 'gold item')}{days}."
    people: Sequence[Mapping[str, Any]] = found["labelers"]
    if not found["gold"]:
        return f"{head} Add some: trueup review gold add --model {found['model']} --prediction ID --label L."
    if not people:
        return f"{head} Nobody has answered one yet."
    rows = [(_name(p), str(p["answered"]), str(p["right"]), write_figure(p["share"]), str(p["saw_prediction"]["answered"]),
             str(p["unnamed_wrong"]), str(p["withdrawn"])) for p in people]
    table = align(("labeler", "answered", "right", "share right (95%)", "saw the answer", "only called wrong", "withdrawn"), rows)
    notes = [f"{_name(p)} said {escape(', '.join(_write_confusions(p)))}." for p in people if p["confusions"]]
    end = ("Shares are of blind answers: those given with the model's answer in sight, that only call it wrong, or that were "
           "withdrawn are counted beside them.")
    return "\n".join([head, "", table, "", *notes, end])


def _name(person: Mapping[str, Any]) -> str:
    return NOBODY if person["labeler"] is None else escape(person["labeler"])


def _write_confusions(person: Mapping[str, Any]) -> Iterator[str]:
    for confusion in person["confusions"][:SHOWN]:
        yield f"{confusion['said']!r} for {confusion['known']!r} ({confusion['count']})"
    if len(person["confusions"]) > SHOWN:
        yield f"and {len(person['confusions']) - SHOWN} more kinds"
