"""Blind repeats: review items that their own labeler is asked about again without the model's answer.

A repeat is a sequence of documents, each of which holds the whole state after a change, so that the newest holds. What was
said blind is no label row: it would be an audit's vote on a prediction that no audit drew, or take the place of what the
person said before (docs/decisions/0028-anchoring.md).
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from contract import ids, layout
from contract.documents.document import Document, Moment
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.stores.store import Storage

READS_AT_ONCE = 16


class BlindRepeat(Document):
    """`samples/<model>/repeats/<person>/<prediction id>/<n>.json`: what one person said of a prediction, with the model's answer
    in sight and, later, without it. A label is as it was given; `≠` names no class."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    role: str  # of the prediction
    day: str  # of the prediction
    prediction_id: str
    predicted: str
    bin: int | None = None  # of the confidence, 0 to 19; null without one
    image_sha256: str
    labeler: str
    share: float  # of the review items that are repeated, when this one was chosen
    at: Moment  # of this document
    seen: str | None  # said with the answer in sight; null: taken back
    seen_at: Moment
    blind: str | None = None  # said without it; null: not yet, or (with a `blind_at`) could not tell
    blind_at: Moment | None = None


def read_repeats(storage: Storage, model: str, person: str = "", until: str | None = None,
                 days: tuple[str, str] | None = None, seen: dict[str, BlindRepeat] | None = None) -> list[BlindRepeat]:
    """Reads the repeats of a model, or of one `person` (the name of the folder), as they stood at the moment `until`.

    `until` None: as they stand. `days`: the first and last prediction day; None: all. `seen` keeps documents by key from
    call to call. One that cannot be read is passed over.
    """
    from concurrent.futures import ThreadPoolExecutor

    known = {} if seen is None else seen
    keys: dict[str, dict[int, str]] = {}
    for entry in storage.list(layout.repeats(model, person)):
        folder, number = entry.key.rpartition("/")[0], layout.document_name(entry.key)
        day = ids.day_of(folder.rpartition("/")[2])
        if number.isdecimal() and day and (days is None or days[0] <= day <= days[1]):  # what else lies there is not ours
            keys.setdefault(folder, {})[int(number)] = entry.key

    def read(numbered: dict[int, str]) -> BlindRepeat | None:
        for n in sorted(numbered, reverse=True):
            document = _read(storage, numbered[n], known)
            if document is not None and (until is None or document.at <= until):
                return document
        return None

    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        return [found for found in pool.map(read, (keys[folder] for folder in sorted(keys))) if found is not None]


def _read(storage: Storage, key: str, known: dict[str, BlindRepeat]) -> BlindRepeat | None:
    if key not in known:
        try:
            known[key] = BlindRepeat.load(storage, key)
        except (DamagedDocument, NotFound) as error:
            pass_over(error)
            return None
    return known[key]


def list_pairs(repeats: list[BlindRepeat]) -> Iterator[tuple[BlindRepeat, bool, bool]]:
    """Yields (repeat, agreed with the model in sight of its answer, agreed blind) of those that were answered both ways."""
    for repeat in repeats:
        if repeat.seen is not None and repeat.blind is not None:
            yield repeat, repeat.seen == repeat.predicted, repeat.blind == repeat.predicted
