"""Warns of rows that were not counted because the word in their column `role` is no role (rule 2 of docs/design.md)."""

import logging
from collections import Counter

from contract import layout
from contract.errors import ForeignSchema
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.engines.question import Question
from metrics.window import WindowCounts

log = logging.getLogger(__name__)
MOST_WORDS = 5


def warn_of_unknown_roles(storage: Storage, question: Question, counted: WindowCounts) -> None:
    """Warns which words were not understood, on how many rows, and names the setting that maps them."""
    days = [day.day for day in counted.days if day.rows["unknown_role"]]
    if not days:
        return
    words = _count_words(storage, question, days)
    if not words:  # their rows expired
        return
    named = ", ".join(f"{word!r} on {write_count(n, 'row')}" for word, n in words.most_common(MOST_WORDS))
    first = next(iter(words), "production")
    log.warning("not counted: role %s. Expected live, shadow, canary, batch or replay, or a setting that says what the word "
                "means: evaluate.roles, e.g. {%s: live}.", named, first)


def _count_words(storage: Storage, question: Question, days: list[str]) -> Counter[str]:
    """Counts the model's rows by each word that is no role."""
    found: Counter[str] = Counter()
    for entry in (e for day in days for e in list_rows(storage, layout.PREDICTIONS, day)):
        try:
            table = read_columns(storage, entry.key, ["model", "role"], required=["model"])
        except ForeignSchema:
            continue  # was named when the day was counted
        if "role" in table.column_names:
            pairs = zip(table["model"].to_pylist(), table["role"].to_pylist(), strict=True)
            found.update(role for model, role in pairs if model == question.model and isinstance(role, str)
                         and question.resolve_role(role) is None)  # a file that quarantine left out may hold anything
    return found
