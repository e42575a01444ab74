"""What people said of the batches of one sample, in the order of its numbers: (batch number, answers), the last word counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from contract import jsonio
from inference.labelling.documents import Answers, BatchHolder

Given: TypeAlias = Sequence[tuple[int, Answers]]


def identify(holder: BatchHolder) -> tuple[str, str, str]:
    """Returns what tells one person from another: key, labeler and browser."""
    return holder.actor, holder.labeler, holder.visitor


def name_folder(holder: BatchHolder) -> str:
    """Names the folder of what is noted of a person beside batches."""
    return jsonio.digest([holder.actor, holder.labeler, holder.visitor])[:32]


def collect_answers(given: Given) -> dict[int, dict[str, str | None]]:
    """Collects batch number -> prediction id -> the last word, without what was taken back."""
    answers: dict[int, dict[str, str | None]] = {}
    for n, document in given:
        answers.setdefault(n, {}).update(document.answers)
        for prediction_id in document.withdrawn:
            answers[n].pop(prediction_id, None)
    return answers


def recall_answers(given: Given, batch: int) -> dict[str, str | None]:
    """Returns what was said of a batch, also what was taken back since: to open it again as it was."""
    said: dict[str, str | None] = {}
    for n, document in given:
        said.update(document.answers if n == batch else {})
    return said


def find_last_answer(given: Given, holder: BatchHolder) -> tuple[int, str] | None:
    """Finds (batch, prediction id) of the newest answer of this person that was not taken back; None without one."""
    answers = collect_answers(given)
    mine = sorted(((d.at, n, d) for n, d in _only(given, holder)), key=lambda m: m[:2], reverse=True)
    return next(((n, i) for _, n, d in mine for i in reversed(d.answers) if i in answers[n]), None)


def count_days(given: Given, holder: BatchHolder) -> Counter[tuple[str, bool]]:
    """Counts the predictions that this person answered, by (UTC day of the newest answer, whether they could tell)."""
    answers = collect_answers(given)
    said = {i: (d.at[:10], answers[n][i] is not None) for n, d in _only(given, holder) for i in d.answers if i in answers[n]}
    return Counter(said.values())


def list_skipped(given: Given, holder: BatchHolder, until: str) -> set[str]:
    """Lists the predictions of which this person said nothing but that they skip them, at the moment `until` or before."""
    last = {i: i in d.skipped and d.at <= until for _, d in _only(given, holder) for i in d.answers}
    return {prediction_id for prediction_id, skipped in last.items() if skipped}


def _only(given: Given, holder: BatchHolder) -> list[tuple[int, Answers]]:
    return [(n, d) for n, d in given if identify(d.holder) == identify(holder)]
