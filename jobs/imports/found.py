"""What a reader found in a file: rows with their places in it, rows that cannot be taken, and notes for people."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from jobs.imports.rows import Row

SHOWN = 20  # bad rows that a message names
SHOWN_WITH_REASONS = 3  # when a sentence says already what is wrong with them


@dataclass(frozen=True)
class Asked:
    """What options say beside a file; None and False where they say nothing.

    Of its rows: `fill` has values of columns that it may lack; `day` is of ids that say none; `model` is the one that all
    labels are of, `prefer` the one that is meant where an id is of several; `role` the predictions that labels are of where
    an id has several roles; `per_version`: versions share ids; `count_orphans`: labels of predictions that are not there
    are counted, unless all are.

    Of pictures in class folders `labeler` is who sorted them.

    Of a file of another system: `job` is the labelling job whose answers are meant; `id_field`, `label_path` and
    `confidence_path` say where values stand, names and numbers joined by dots (`data.prediction_id`); `classes` is a file
    with the classes in the order of the network's outputs.
    """

    fill: Mapping[str, str] = field(default_factory=dict)
    day: str | None = None
    model: str | None = None
    prefer: str | None = None
    role: str = "live"
    per_version: bool = False
    count_orphans: bool = False
    job: str | None = None
    labeler: str | None = None
    id_field: str | None = None
    label_path: str | None = None
    confidence_path: str | None = None
    classes: Path | None = None


class Missing(NamedTuple):
    """A row whose prediction the root does not hold: where it stands, the id or picture that it names, and what to do.

    `column` is where the id or the picture stands in the row.
    """

    where: str
    name: str
    said: str
    column: str = "prediction_id"


@dataclass
class Found:
    """Rows that can be taken, each with where it stands ("l.csv: row 3"), and everything else that the file held.

    `bad`: a text for each row that cannot be taken. `missing`: rows of no prediction that the root has. `reasons`:
    sentences about many of those at once. `notes`: what was decided or changed on the way in. `left_out`: how many entries
    hold no judgement, by why (`without_answer`, …).
    """

    good: list[tuple[str, Row]] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def describe_bad(self) -> str:
        """What cannot be taken, for a message: the reasons, and the first of the rows."""
        shown = self.bad[:SHOWN_WITH_REASONS if self.reasons else SHOWN]
        more = len(self.bad) - len(shown)
        return "\n".join([*self.reasons, *shown, *([f"… and {more} more"] if more else [])])

    def describe_left_out(self) -> list[str]:
        """One line for each category of entries that count for nothing."""
        return [f"{n:,} {LEFT_OUT[why]}" for why, n in sorted(self.left_out.items())]


LEFT_OUT = {
    "without_answer": "without an answer: not labelled yet, or nobody could label them",
    "by_machine": "labelled by a machine, not by a person",
    "orphan": "of no prediction that is there",
    "cancelled": "cancelled or skipped by the labeler",
}
