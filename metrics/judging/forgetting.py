"""Whether a candidate may forget so much: the promotion gate on the held-out rows of the first dataset of its line.

Off unless `gates.max_forgetting` is set. Both versions answered the same rows (training/forgetting.py), so the difference is
paired. It rests on one trusted origin, the one with most rows.
"""

from collections.abc import Mapping
from typing import Any

from contract.policy import GatePolicy
from contract.texts.figures import write_change, write_percent, write_points
from metrics.judging.verdicts import TOO_FEW, UNDECIDED, judge_interval
from metrics.significance.paired import Paired

NOT_ASKED = "the first dataset's held-out rows were not asked"


def judge_forgetting(policy: GatePolicy, assessment: Mapping[str, Any]) -> dict[str, Any] | None:
    """Judges candidate minus live on those rows against -max_forgetting; None where nothing is set.

    Pass when the whole interval lies at or above the bound, fail when all of it lies below. Cannot tell: the rows were not
    asked, or fewer than `min_held_out` are of one trusted origin.
    """
    if policy.max_forgetting is None:
        return None
    first = assessment.get("first") or {}
    row: dict[str, Any] = {"dataset": first.get("dataset"), "bound": -policy.max_forgetting, "origin": None, "n": 0,
                           "live": None, "candidate": None, "value": None, "low": None, "high": None}
    by_origin = first.get("by_origin") or {}
    parts = [(Paired.of(by_origin[origin]), origin) for origin in policy.trusted_origins if origin in by_origin]
    if not parts:
        return row | {"verdict": UNDECIDED, "reason": first.get("reason") or NOT_ASKED}
    counts, origin = max(parts, key=lambda part: part[0].n)
    difference = counts.difference(policy.confidence)
    row |= {"origin": origin, "n": counts.n, "live": counts.live()["value"], "candidate": counts.candidate()["value"],
            **difference}
    if counts.n < policy.min_held_out:
        return row | {"verdict": UNDECIDED, "reason": TOO_FEW}
    return row | {"verdict": judge_interval(row["low"], row["high"], row["bound"])}


def say_forgetting(row: Mapping[str, Any]) -> str:
    """Says in a sentence what was judged."""
    if row["value"] is None:
        return f"What was forgotten cannot be told: {row['reason']}."
    few = f" ({row['reason']})" if row.get("reason") else ""
    return (f"On {row['n']} held-out rows of the first dataset the candidate has {write_percent(row['candidate'], 1)}, the live "
            f"version {write_percent(row['live'], 1)}: a difference of {write_points(row)}; a drop of "
            f"{write_change(-row['bound'])[1:]} points is allowed: {row['verdict']}{few}.")
