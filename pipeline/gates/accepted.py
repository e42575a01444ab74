"""The gate `accepted_accuracy`: how many of the answers are right that thresholds accept unseen.

It judges them as the accuracy gate judges all answers (accuracy.py), over days whose labels did not choose the thresholds: those
that chose them would flatter. Without thresholds of the version nothing is accepted, so there is nothing to judge.
"""

from typing import Any

from contract.policy import GatePolicy
from contract.texts.figures import write_bound, write_count, write_figure, write_percent
from metrics.figure import ratio
from metrics.judging.verdicts import ARRIVING, NOT_JUDGED, TOO_FEW, UNEVEN, make_undecided
from pipeline.gates.accuracy import SAID, judge_accuracy, need_labels, say_uneven
from pipeline.gates.tally import AcceptedTally, Tally

NAME = "accepted_accuracy"


def judge_accepted(policy: GatePolicy, tally: Tally, arriving: bool = False) -> list[dict[str, Any]]:
    """The gate, where the policy has a bound."""
    bound, found = policy.min_accepted_accuracy, tally.accepted
    if bound is None:
        return []
    if found is None:
        return [{"gate": NAME, "bound": bound, "n": 0, "verdict": NOT_JUDGED,
                 "sentence": "No thresholds hold for this version, so none of its answers is accepted unseen."}]
    judged = judge_accuracy(policy.model_copy(update={"min_accuracy": bound, "window_days": []}), found.tally, arriving) or {}
    row = judged | {"gate": NAME, "predictions": found.tally.predictions}
    if not found.tally.predictions or row["n"] < need_labels(policy):  # no data is for freshness to say
        late = ARRIVING if arriving else TOO_FEW
        return [row | make_undecided(late, _say_too_few(policy, found, row["n"]))]
    return [row | {"sentence": _say(row, found)}]


def _say_too_few(policy: GatePolicy, found: AcceptedTally, n: int) -> str:
    need, trusted = need_labels(policy), " or ".join(policy.trusted_origins)
    if not found.days:
        return (f"All days of the window chose the thresholds ({found.evaluation}), so their labels would flatter what these "
                f"accept. Expected {need} labels of one trusted origin ({trusted}) of other days.")
    return (f"Expected {need} labels or more of one trusted origin ({trusted}) of accepted answers, over days that did not "
            f"choose the thresholds; there are {n}.")


def _say(row: dict[str, Any], found: AcceptedTally) -> str:
    if row.get("reason") == UNEVEN:
        return say_uneven(row)
    share = write_percent(ratio(found.tally.predictions, found.predictions), 1)
    weighted = f", weighted, as {row['size']:.0f} drawn alike" if row["weighted"] and row["size"] != row["n"] else ""
    bound = SAID[row["verdict"]].format(bound=write_bound(row["bound"]))
    days = write_count(found.days, "day")
    return (f"Of the answers that are accepted unseen, {share} of all over {days} that did not choose the thresholds, "
            f"{write_figure(row)} are right ({row['n']:,} trusted labels, {row['origin']}{weighted}), {bound}.")
