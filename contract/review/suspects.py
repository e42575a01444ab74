"""Labels that are likely wrong: the document that ranks them, and what people said of them since (docs/suspects.md).

The newest document of a model holds, and nothing else does: it takes over what the one before listed of pictures that it
did not judge itself. A suspicion is of a picture under a label. It ends when the picture's label changes, when a newer
document judges the pair and finds nothing, or when people confirm the label.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import Field

from contract import clock, layout
from contract.counts import ORIGINS, UNNAMED
from contract.documents.document import Document
from contract.review.listed import SUSPECTS
from contract.rows.reading import rows_where
from contract.sequence import NumberedDocuments
from contract.stores.store import Storage

Pair = tuple[str, str]  # the hash of a picture and the label that it was given
COLUMNS = ("prediction_id", "label_id", "label", "labeler", "labeled_at", "recorded_at", "origin", "strategy", "saw_prediction",
           "withdraws")


class Judge(Document):
    """Whose probabilities told: a version's logged answers, or a head fitted on the other folds.

    `agree`: of the `rows` that it judged, those whose given label is its likeliest. One that agrees with too few is not `used`.
    """

    name: str
    rows: int
    agree: int
    used: bool
    unknown_training_set: bool = False  # a version brought from outside, which was there before the pictures


class Suspect(Document):
    """A picture whose given label is likely wrong.

    `score` in [0, 1]: the probability that the judge gave to the given label, null where nobody could judge. `near`: a nearly
    equal picture of the dataset that has the label `near_label`.
    """

    image_sha256: str
    image_uri: str
    prediction_id: str | None  # null: imported with its folder, so that nobody can be asked
    day: str
    split: str
    given: str
    likely: str | None
    score: float | None = Field(ge=0, le=1)
    judge: str | None
    near: str | None = None
    near_label: str | None = None
    dataset: str  # that it was found in
    since: str  # when this label of this picture was listed first

    @property
    def pair(self) -> Pair:
        """What the suspicion is of."""
        return self.image_sha256, self.given

    @property
    def why(self) -> str:
        """The reason in words."""
        said = [] if self.likely is None else [f"{self.judge} says {self.likely!r}"]
        if self.near is not None:
            said.append(f"nearly the same picture as {self.near[:12]}, which is {self.near_label!r}")
        return "; ".join(said)


class Suspects(Document):
    """`samples/<model>/suspects/<n>.json`: what was found in a dataset, likeliest mistakes first."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    dataset: str
    created_at: str
    near_bits: int
    folds: int
    rows: int
    judged: int
    not_judged: dict[str, int]  # reason -> rows
    judges: list[Judge]
    suspects: list[Suspect]


class Said(NamedTuple):
    """What people said since a label was suspected: how many of them name it, and what the others name."""

    equal: int
    others: tuple[str, ...]

    @property
    def confirms(self) -> bool:
        """Whether more people name the given label than another one."""
        return self.equal > len(self.others)


def is_any(storage: Storage, model: str) -> bool:
    """Says whether anybody looked for labels of this model that are likely wrong. It asks for names alone, no document."""
    return any(storage.list(layout.suspects(model).partition("{")[0]))


def read_newest(storage: Storage, model: str, as_of: str | None = None) -> Suspects | None:
    """Reads the document that holds, or held at a moment; None before the first. DamagedDocument."""
    sequence = NumberedDocuments(storage, layout.suspects(model))
    for n in range(sequence.newest_number(), 0, -1):
        found = Suspects.parse(sequence.get(n), sequence.uri(n))
        if as_of is None or found.created_at <= as_of:
            return found
    return None


def read_said(storage: Storage, suspects: Iterable[Suspect], trusted: Collection[str], as_of: str = "9") -> dict[Pair, Said]:
    """Reads what people said of suspects, as known at a moment: of each person the newest word, without those who took it back.

    It counts where the suspicion asked for it (the strategy `suspects`), and where it is of a `trusted` origin and newer
    than the suspicion.
    """
    by_day: dict[str, dict[str, Suspect]] = defaultdict(dict)
    for suspect in suspects:
        if suspect.prediction_id is not None:
            by_day[suspect.day][suspect.prediction_id] = suspect
    found: dict[Pair, Said] = {}
    for day, named in by_day.items():
        words: dict[str, dict[str, dict]] = defaultdict(dict)
        rows = [row for _, row in rows_where(storage, layout.LABELS, day, "prediction_id", named, COLUMNS, unreadable=[])
                if _counts(row, named[row["prediction_id"]], trusted, as_of)]
        for row in sorted(rows, key=lambda row: (clock.to_us(row["labeled_at"]), row["label_id"] or "")):
            words[row["prediction_id"]][row["labeler"] or ""] = row
        for name, of in words.items():
            labels = [row["label"] for row in of.values() if not row["withdraws"]]
            given = named[name].given
            if labels:
                found[named[name].pair] = Said(labels.count(given), tuple(sorted(x for x in labels if x != given)))
    return found


def _counts(row: Mapping, suspect: Suspect, trusted: Collection[str], as_of: str) -> bool:
    if row["labeled_at"] is None or not (row["label"] or row["withdraws"]):
        return False
    at = _write_moment(row["labeled_at"])
    known = at if row["recorded_at"] is None else max(at, _write_moment(row["recorded_at"]))
    asked = row["strategy"] == SUSPECTS or (at > suspect.since and _find_origin(row) in trusted)
    return asked and known <= as_of


def _write_moment(moment: datetime) -> str:
    return clock.iso(clock.from_us(clock.to_us(moment)))


def _find_origin(row: Mapping) -> str:
    """Finds the origin class of a row (rules 4 and 4a): an audit is blind and names a class, or it is a review."""
    origin = row["origin"]
    if origin is None:
        return "import"
    if origin == "audit" and (row["saw_prediction"] is not False or row["label"] == UNNAMED):
        return "review"
    return origin if origin in ORIGINS else "feedback"


def list_open(suspects: Iterable[Suspect], said: Mapping[Pair, Said]) -> list[Suspect]:
    """Lists the suspects that people did not confirm."""
    return [one for one in suspects if one.pair not in said or not said[one.pair].confirms]
