"""What was changed on the way in: said once on standard error, and written into the import's document."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from contract.texts.figures import write_count

SHOWN = 20  # lines that standard error gets; the document has them all


@dataclass
class Change:
    """One kind of change: the first example in words, the column (None: the whole file), how often, and where first."""

    what: str
    column: str | None
    values: int
    first_row: int | str | None  # a text where the file has no rows


@dataclass
class Notes:
    """What the reading of one file has to say. `unlabelled` counts the rows of a file of labels that have none."""

    unlabelled: int = 0
    other_labels: dict[str, str | None] = field(default_factory=dict)  # that no prediction names -> the nearest class
    _changes: dict[tuple[str, str | None], Change] = field(default_factory=dict)

    def add(self, kind: str, what: str, column: str | None = None, row: int | str | None = None) -> None:
        """Counts a change. Changes of one `kind` in one column are one, and the first says `what`."""
        found = self._changes.setdefault((kind, column), Change(what, column, 0, row))
        found.values += 1

    def to_dict(self, of_labels: bool) -> dict[str, Any]:
        """What stands in the document."""
        found: dict[str, Any] = {"changed": [vars(change).copy() for change in self._changes.values()]}
        if of_labels:
            found |= {"unlabelled": self.unlabelled, "other_labels": self.other_labels}
        return found

    def to_lines(self) -> list[str]:
        """Says the changes for people, one line each."""
        lines = list(self._say())
        return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"… and {len(lines) - SHOWN} more changes (--json)"]

    def _say(self) -> Iterator[str]:
        if self.unlabelled:
            yield f"{write_count(self.unlabelled, 'row')} without a label"
        for change in self._changes.values():
            many = write_count(change.values, "value")
            yield change.what if change.column is None else (
                f"{change.what}: {many} of column {change.column}, first in {_row(change.first_row)}")
        if self.other_labels:
            named = ", ".join(f"{label!r}" + (f" (nearest: {near!r})" if near else "")
                              for label, near in list(self.other_labels.items())[:SHOWN])
            yield f"labels that no prediction names: {named}"


def _row(row: int | str | None) -> str:
    return row if isinstance(row, str) else f"row {row}"
