"""Which predictions of a window may be picked: of the live version, with a stored picture, not labelled and not asked about.

Predictions that a sample of the day asks about are left out, answered or not: nobody may see the model's answer before an
audit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from contract import ids, layout, samples
from contract.confidence import confidence_bin
from contract.errors import ForeignSchema, pass_over
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Storage, may_be_key
from jobs.engines.distinct import read_distinct
from jobs.engines.question import Question

LABELLED, NOT_STORED, ASKED, TRAINED_ON, ERASED = ("labelled", "picture not stored", "asked by a sample", "in the dataset",
                                                   "erased")
Row = dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """One picture by one of its predictions; `probabilities` are the top ones that were logged."""

    day: str
    prediction_id: str
    predicted: str
    confidence: float | None
    probabilities: tuple[float, ...]
    sha256: str
    uri: str

    @property
    def margin(self) -> float:
        """The first probability minus the second; 0 is the greatest uncertainty."""
        first, second, *_ = sorted((*self.probabilities, 0.0, 0.0), reverse=True)
        return first - second

    @property
    def unsure(self) -> float:
        """1 - margin, in [0, 1]."""
        return 1 - self.margin


@dataclass(frozen=True)
class Found:
    """Candidates by the hash of their picture, and what was left out, by reason.

    `known`: (hash, key) of the window's pictures that have labels, whichever version answered; `learnt`: some of them are in
    the live version's dataset.
    """

    candidates: list[Candidate]
    left_out: dict[str, int]
    known: list[tuple[str, str]]
    learnt: bool


def find_candidates(storage: Storage, days: Sequence[str], question: Question, versions: Collection[str],
                    known: Collection[str], erased: Collection[str]) -> Found:
    """Finds what may be picked of some days. `versions` answer for the live one; `known`: pictures of its dataset.

    Of a picture that was sent several times the first prediction speaks; when one of them is labelled or asked about, none.
    """
    first: dict[str, Candidate] = {}
    out: dict[str, str] = {}
    with_label: dict[str, str] = {}
    missing = 0
    for day in days:
        labelled = read_labelled(storage, day)
        answers = list(list_answers(storage, day, question))
        with_label |= {row["image_sha256"]: row["image_uri"] for row in answers if _is_stored(row)
                       and (row["prediction_id"] in labelled or row["image_sha256"] in known)}
        rows = [row for row in answers if row["model_version"] in versions]
        asked = _find_asked(storage, question.model, day, rows)
        for row in rows:
            if not _is_stored(row):
                missing += 1
                continue
            sha256, name = row["image_sha256"], row["prediction_id"]
            reason = ERASED if sha256 in erased else TRAINED_ON if sha256 in known else LABELLED if name in labelled else \
                ASKED if name in asked else None
            if reason:
                out[sha256] = reason
            first.setdefault(sha256, _make(day, row))
    reasons = Counter(out.values()) + Counter({NOT_STORED: missing})
    candidates = [first[sha256] for sha256 in sorted(first) if sha256 not in out]
    with_label = {sha256: uri for sha256, uri in with_label.items() if sha256 not in erased}
    return Found(candidates, dict(sorted(reasons.items())), sorted(with_label.items()), not with_label.keys().isdisjoint(known))


def read_labelled(storage: Storage, day: str) -> set[str]:
    """Reads which predictions of a day have a row of a label, one that was withdrawn since among them."""
    found: set[str] = set()
    for entry in list_rows(storage, layout.LABELS, day):
        try:
            named = read_columns(storage, entry.key, ["prediction_id"], required=["prediction_id"])["prediction_id"]
        except ForeignSchema as error:
            pass_over(error)
            continue
        found |= set(map(str, named.to_pylist()))
    return found


def list_answers(storage: Storage, day: str, question: Question) -> Iterator[Row]:
    """Lists the distinct answers (rule 2) in the question's role, by their ids; a file that cannot be read is named."""
    yield from read_distinct(storage, day, question, ("top_probabilities",), leave_unreadable=True).to_pylist()


def _is_stored(row: Row) -> bool:
    return bool(ids.is_sha256(row["image_sha256"]) and row["image_uri"] and may_be_key(row["image_uri"]))


def _find_asked(storage: Storage, model: str, day: str, rows: Sequence[Row]) -> set[str]:
    """Finds which answers the day's samples of live answers, or of what thresholds leave over of them, ask about."""
    cells = [(row["prediction_id"], row["predicted_label"], confidence_bin(row["confidence"])) for row in rows]
    drawn = (samples.read(storage, model, day, kind, population) for kind in samples.KINDS
             for population in ("live", samples.name_rest("live")))
    return {rows[place]["prediction_id"] for sample in drawn if sample for place, _ in samples.draw_rows(sample, cells)}


def _make(day: str, row: Row) -> Candidate:
    logged = [float(p) for p in row["top_probabilities"] or () if p is not None and 0 <= p <= 1]
    confidence = None if row["confidence"] is None or math.isnan(row["confidence"]) else row["confidence"]
    if not logged:  # of a service that logs no more than its answer
        logged = [min(max(confidence or 0.0, 0.0), 1.0)]
    return Candidate(day, str(row["prediction_id"]), row["predicted_label"], confidence, tuple(logged),
                     row["image_sha256"], row["image_uri"])
