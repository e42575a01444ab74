"""Blind repeats, and what they tell: review items that their own labeler is asked about again without the model's answer.

A repeat is a sequence of documents, each of which holds the whole state after a change, so that the newest holds. What was
said blind is no label row: it would be an audit's vote on a prediction that no audit drew, or take the place of what the
person said before (docs/decisions/0028-anchoring.md).
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from contract import layout
from contract.documents.document import Document, Moment
from contract.documents.version_figures import Count, Figure, Reasoned
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
                 seen: dict[str, BlindRepeat] | None = None) -> list[BlindRepeat]:
    """Reads the repeats of a model, or of one `person` (the name of the folder), as they stood at the moment `until`.

    `until` None: as they stand. `seen` keeps documents by key from call to call. One that cannot be read is passed over.
    """
    from concurrent.futures import ThreadPoolExecutor

    known = {} if seen is None else seen
    keys: dict[str, dict[int, str]] = {}
    for entry in storage.list(layout.repeats(model, person)):
        folder, number = entry.key.rpartition("/")[0], layout.document_name(entry.key)
        if number.isdecimal():  # what else lies there was put by nobody of ours
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


# -- the section `anchoring` of an evaluation's evidence --------------------------------------------------------------------


class Needed(TypedDict):
    """How many reviews find a difference of `points` (a share: 0.06 for six points) in 80% of cases; null: over 10 million."""

    points: float
    pairs: int | None
    reviews: int | None
    more_reviews: int | None


class FeedbackBias(TypedDict):
    """Feedback against the audit of the same predictions; `right` and `wrong`: what each says of the model's answer."""

    audited: Count
    audited_right: Count
    both_right: Count  # audit, feedback
    audit_right_feedback_wrong: Count
    audit_wrong_feedback_right: Count
    both_wrong: Count
    wrong_of_right: Reasoned[Figure]  # of audited-right predictions with feedback, the share that feedback calls wrong
    right_of_wrong: Reasoned[Figure]
    judges: Reasoned[Figure]  # share right by feedback minus by audit, of the same predictions
    given_of_right: Reasoned[Figure]  # share of the audited-right predictions that have feedback
    given_of_wrong: Reasoned[Figure]
    bias: Reasoned[Figure]  # share right by feedback of what has feedback, minus by audit of all that was audited
    sentence: str


class Anchoring(TypedDict):
    """What seeing the model's answer adds to the share of labels that agree with it: items that one person judged both ways."""

    sentence: str
    labelers: Count  # with at least one pair
    pairs: Count
    both: Count  # agreed with the model both times
    only_seen: Count
    only_blind: Count
    neither: Count
    untold: Count  # answered blind by "cannot tell"
    waiting: Count  # chosen, and not asked or answered yet
    seen: Reasoned[Figure]
    blind: Reasoned[Figure]
    added: Reasoned[Figure]  # seen minus blind
    p: Annotated[float | None, Field(ge=0, le=1)]  # McNemar's exact test, two-sided
    found: bool  # the interval of `added` leaves out 0
    says_after: list[Needed]
    feedback: FeedbackBias
