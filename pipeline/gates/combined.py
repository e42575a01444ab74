"""The retraining gate on the combined estimate (`gates.estimate: combined`): the audit, laid over all traffic.

Value and interval are those that the evaluation holds under `evidence.combined`; p is taken at its cautious size
(metrics/selection/combined.py). All else is as for the labels of one origin (accuracy.py).
"""

from collections.abc import Mapping
from typing import Any

from contract.policy import GatePolicy
from contract.texts.figures import write_bound, write_figure
from metrics.judging.verdicts import (
    ARRIVING,
    FAIL,
    NO_COMBINED,
    NO_DATA,
    PASS,
    TOO_FEW,
    UNDECIDED,
    UNEVEN,
    make_undecided,
)
from metrics.significance.share_of_origin import invert_test, is_uneven, p_of_share
from pipeline.gates.accuracy import SAID, find_level, need_labels, say_uneven
from pipeline.gates.tally import Tally

EMPTY = {"right": 0, "n": 0, "weighted": True, "value": None, "low": None, "high": None, "n_effective": 0.0, "size": 0.0,
         "p": None, "level_low": None, "level_high": None}


def judge_combined_by_window(policy: GatePolicy, tally: Tally, evaluation: Mapping[str, Any], version: str,
                   arriving: bool = False) -> list[dict[str, Any]]:
    """The gate over the evaluation's window, or one for each window of the policy; none without a bound."""
    if policy.min_accuracy is None:
        return []
    section = (evaluation.get("evidence") or {}).get("combined")
    if not policy.window_days:
        return [_judge(policy, tally, section and section["versions"].get(version), arriving)]
    by_days = {window["days"]: window["versions"] for window in section["windows"]} if section else {}
    return [_judge(policy, tally.windows[days], by_days.get(days, {}).get(version), arriving) | {"days": days}
            for days in policy.window_days]


def _judge(policy: GatePolicy, tally: Tally, found: Mapping[str, Any] | None, arriving: bool) -> dict[str, Any]:
    bound, level = policy.min_accuracy or 0.0, find_level(policy)
    row: dict[str, Any] = {"gate": "accuracy", "estimate": "combined", "bound": bound, "level": level, "origin": None, **EMPTY}
    if not tally.predictions:
        return row | make_undecided(NO_DATA, "No prediction of it lies in the window.")
    if found is None:
        return row | make_undecided(NO_COMBINED, "The policy judges the combined estimate (gates.estimate: combined), and this "
                                                 "evaluation does not hold it for the version and window. Evaluate again under "
                                                 "this policy, or with --evidence combined.")
    if "audit" not in policy.trusted_origins:
        return row | make_undecided(NO_COMBINED, "The combined estimate (gates.estimate: combined) rests on the audit, and "
                                                 "gates.trusted_origins does not name it.")
    late = ARRIVING if arriving else TOO_FEW
    n = found["labels"] if found["origin"] != "assessment" else 0
    if n < need_labels(policy):
        return row | {"n": n} | make_undecided(late, f"Expected {need_labels(policy)} audit labels or more, on which the "
                                                     f"combined estimate (gates.estimate: combined) rests; there are {n}.")
    if found["value"] is None:
        return row | make_undecided(NO_COMBINED, f"There is no combined estimate (gates.estimate: combined): {found['reason']}.")
    row |= _test(found, bound, level) | {"origin": "audit"}
    if is_uneven(row):
        return row | make_undecided(UNEVEN, say_uneven(row))
    verdict = FAIL if row["p"] <= level else PASS if row["low"] >= bound else UNDECIDED
    reason = {} if verdict != UNDECIDED else {"reason": late}
    return row | {"verdict": verdict, **reason, "sentence": _say(row, found, verdict)}


def _test(found: Mapping[str, Any], bound: float, level: float) -> dict[str, Any]:
    value, size = found["value"], found["cautious_size"]
    low, high = invert_test(value, size, level)
    return {"right": None, "n": found["labels"], "value": value, "low": found["low"], "high": found["high"],
            "n_effective": found["n_effective"], "size": size, "p": float(p_of_share(value, size, bound)), "level_low": low,
            "level_high": high}


def _say(row: Mapping[str, Any], found: Mapping[str, Any], verdict: str) -> str:
    return (f"Accuracy by the combined estimate is {write_figure(row)} over {found['predictions']:,} predictions, from "
            f"{row['n']:,} audit labels in {found['strata']} strata, {SAID[verdict].format(bound=write_bound(row['bound']))}.")
