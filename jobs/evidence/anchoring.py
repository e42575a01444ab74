"""The section `anchoring`: what seeing the model's answer adds, and feedback against audit.

docs/labelers-anchoring.md says what the figures mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contract import clock
from contract.documents.repeat import BlindRepeat, list_pairs, read_repeats
from contract.documents.version_figures import Figure
from contract.evidence.anchoring import Anchoring, FeedbackBias, Needed
from contract.settings import ReviewSettings
from contract.texts.figures import write_count, write_figure, write_points, write_size
from metrics.selection.anchoring import BothWays, count_needed
from metrics.selection.feedback_bias import Told

if TYPE_CHECKING:
    import pyarrow as pa

    from jobs.evidence.collect import Material

POINTS = (0.03, 0.06, 0.1)  # differences whose cost is told
MAIN = 0.06


def make(material: Material) -> Anchoring:
    """Makes the section: repeats of the window's prediction days and of its role, as known at its moment."""
    request, window = material.request, material.document["window"]
    until = clock.iso(clock.from_us(request.question.as_of))
    found = read_repeats(material.storage, request.question.model, until=until, days=(window["from"], window["to"]))
    repeats = [repeat for repeat in found if repeat.role == request.question.role]
    feedback = compare_feedback(list(material.spoken.values()))
    made = describe_repeats(repeats)
    return {**made, "feedback": feedback, "sentence": f"{made['of_repeats']} {feedback['sentence']}"}


def describe_repeats(repeats: list[BlindRepeat]) -> Anchoring:
    """Describes what repeats tell; its `feedback` is of no prediction."""
    pairs = list(list_pairs(repeats))
    found = BothWays.of((seen, blind) for _, seen, blind in pairs)
    share = max(repeats, key=lambda r: r.at).share if repeats else float(ReviewSettings.model_fields["blind_share"].default)
    waiting = sum(r.seen is not None and r.blind_at is None for r in repeats)
    needed = [count_needed(points, found, share, waiting) for points in POINTS]
    said = _say(found, next(n for n in needed if n["points"] == MAIN), waiting)
    return {"sentence": said, "of_repeats": said,
            "labelers": len({r.labeler for r, _, _ in pairs}), "pairs": found.n, "both": found.both,
            "only_seen": found.only_seen, "only_blind": found.only_blind, "neither": found.neither,
            "untold": sum(r.blind is None and r.blind_at is not None for r in repeats), "waiting": waiting,
            "seen": found.seen(), "blind": found.blind(), "added": found.added(), "p": found.p(), "found": found.is_found(),
            "says_after": needed, "feedback": compare_feedback([])}


def _say(found: BothWays, needed: Needed, waiting: int) -> str:
    added = found.added()
    if not found.n:
        head = f"No review item was answered again blind yet ({waiting:,} wait)."
    elif found.is_found():
        verb = "more" if found.only_seen > found.only_blind else "less"
        head = (f"With the model's answer in sight labels agree with it {verb} often than blind: {write_points(added)}, from "
                f"{write_count(found.n, 'item')} that the same people judged both ways.")
    else:
        head = (f"No effect of seeing the model's answer was found: {write_points(added)}, from {write_count(found.n, 'item')} "
                f"that the same people judged both ways.")
    return f"{head} {say_needed(needed, found.n, waiting)}"


def say_needed(needed: Needed, pairs: int, waiting: int) -> str:
    """Says how many reviews a difference takes, and what is missing to that."""
    points = write_size(needed["points"])
    if needed["reviews"] is None or needed["more_reviews"] is None:
        return f"A difference of {points} cannot be found at this share of repeats."
    enough = f"once the {waiting:,} that wait are answered" if pairs < (needed["pairs"] or 0) else "as there are"
    more = f"{needed['more_reviews']:,} more than there are" if needed["more_reviews"] else enough
    return (f"A difference of {points} is found in 80% of cases with about {write_count(needed['reviews'], 'review')} "
            f"({needed['pairs']:,} of them repeated): {more}.")


# -- feedback against audit -------------------------------------------------------------------------------------------------


def compare_feedback(tables: list[pa.Table]) -> FeedbackBias:
    """Compares feedback with the audit of the same predictions, from the items of some days."""
    told = join_told(tables)
    judges, bias = told.judges(), told.bias()
    return {"audited": len(told.right), "audited_right": int(told.right.sum()), "both_right": told.tally(True, True),
            "audit_right_feedback_wrong": told.tally(True, False), "audit_wrong_feedback_right": told.tally(False, True),
            "both_wrong": told.tally(False, False), "wrong_of_right": told.wrong_of_right(),
            "right_of_wrong": told.right_of_wrong(), "judges": judges, "given_of_right": told.given(True),
            "given_of_wrong": told.given(False), "bias": bias, "sentence": _say_feedback(told, judges, bias)}


def _say_feedback(told: Told, judges: Figure, bias: Figure) -> str:
    n = int((~np.isnan(told.said)).sum())
    if not n:
        return "No audited prediction has feedback, so feedback cannot be held against an audit."
    head = (f"Feedback came for {write_figure(told.given(True))} of the answers that the audit calls right and for "
            f"{write_figure(told.given(False))} of the wrong ones. On the {write_count(n, 'prediction')} with both, the share "
            f"that feedback calls right differs from the audit's by {write_points(judges)}.")
    return head if bias["value"] is None else f"{head} Accuracy by feedback alone is off by {write_points(bias)}."


def join_told(tables: list[pa.Table]) -> Told:
    """Joins what audit and feedback say of each audited prediction: feedback by most of its votes, on a tie by the newest."""
    parts = [_join_day(table) for table in tables]
    return Told(*(np.concatenate([part[i] for part in parts]) if parts else np.zeros(0, kind)
                  for i, kind in enumerate((bool, float, float))))


def _join_day(table: pa.Table) -> Told:
    import pyarrow.compute as pc

    table = table.filter(pc.equal(table["origin"], "audit")).combine_chunks()
    right = pc.equal(table["label"], table["predicted"]).to_numpy().astype(bool)
    votes = table["votes"].combine_chunks()
    item, vote = pc.list_parent_indices(votes).to_numpy(), pc.list_flatten(votes)
    is_feedback = pc.equal(vote.field("origin"), "feedback")
    item = item[is_feedback.to_numpy(zero_copy_only=False).astype(bool)]
    agrees = pc.equal(vote.field("label").filter(is_feedback), table["predicted"].combine_chunks().take(item))
    agrees = agrees.to_numpy(zero_copy_only=False).astype(bool)
    lead = np.bincount(item, np.where(agrees, 1, -1), len(right))
    newest = np.full(len(right), np.nan)
    newest[item] = agrees  # votes are in order of time: the last one stays
    said = np.where(np.isnan(newest), np.nan, np.where(lead == 0, newest, lead > 0))
    return Told(right, said, table["selection_probability"].to_numpy(zero_copy_only=False).astype(float))
