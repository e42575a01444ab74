"""The section `anchoring` of an evaluation's evidence: what blind repeats tell, and feedback against audit."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from contract.documents.version_figures import Count, Figure, Reasoned


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
    of_repeats: str  # the part of the sentence that is not of feedback
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
