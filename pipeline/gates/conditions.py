"""What must hold before an evaluation is a verdict on the live version at all: its scope, its freshness, its wholeness.

Holding says nothing of the model, so a condition that holds never makes a pass by itself. An override has no say here.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from contract import clock
from contract.policy import GatePolicy
from metrics.judging.verdicts import (
    NO_DATA,
    NOT_JUDGED,
    OTHER_ROLE,
    OTHER_WINDOW,
    PARTIAL,
    PASS,
    STALE,
    UNDECIDED,
)
from pipeline.gates.tally import Tally


def judge_scope(evaluation: Mapping[str, Any]) -> dict[str, Any] | None:
    """Says why an evaluation is a report and no verdict (contract.evaluations.is_verdict); None where it can be one."""
    role, last, newest_day = evaluation.get("role", "live"), evaluation["window"]["to"], evaluation.get("newest_day")
    if role != "live":
        return _refuse("scope", OTHER_ROLE, f"The evaluation is of role {role!r}, a report; a verdict is of what the live "
                                            f"version answered. Evaluate role live.")
    if newest_day and last < newest_day:
        return _refuse("scope", OTHER_WINDOW, f"The evaluation ends with {last}, a report; a verdict ends with the newest day "
                                              f"of data, {newest_day}. Evaluate without --to.")
    return None


def judge_freshness(policy: GatePolicy, tally: Tally, as_of: str) -> dict[str, Any]:
    """Whether the log still grows: the newest prediction is at most `max_age_days` old, counted from the end of its day."""
    row = {"gate": "freshness", "max_age_days": policy.max_age_days, "newest_day": tally.newest_day}
    if not tally.predictions:
        return row | _refuse("freshness", NO_DATA, "No prediction of it lies in the window.")
    if tally.newest_day is None or policy.max_age_days is None:
        return row | {"verdict": NOT_JUDGED, "sentence": "The age of its newest prediction is not judged."}
    end = clock.parse_moment(f"{tally.newest_day}T00:00:00Z") + timedelta(days=1)
    said = f"Its newest prediction is of {tally.newest_day}"
    if clock.parse_moment(as_of) - end > timedelta(days=policy.max_age_days):
        return row | _refuse("freshness", STALE, f"{said}, more than {policy.max_age_days:g} days before {as_of[:10]}: nothing "
                                                 f"is known of it since. See whether it is served and its log shipped.")
    return row | {"verdict": PASS, "sentence": f"{said}."}


def judge_completeness(partial: Sequence[Any]) -> dict[str, Any]:
    """An evaluation that left out data can fail, and never passes."""
    return _refuse("complete", PARTIAL, f"The evaluation left out {len(partial)} parts of the data, so it cannot pass. "
                                        f"Evaluate without them missing.") | {"left_out": list(partial)}


def _refuse(gate: str, reason: str, sentence: str) -> dict[str, Any]:
    return {"gate": gate, "verdict": UNDECIDED, "reason": reason, "sentence": sentence}
