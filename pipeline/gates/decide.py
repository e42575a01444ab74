"""Whether the live version still holds: a pure function of (policy, evaluation, counts, history).

Three answers: pass, fail, cannot tell. The accuracy gate (accuracy.py) states its error per year and is the only one that
starts a retraining. Classes and slices are one family (classes.py); the gates that a policy may add are in optional.py;
what must hold before anything is judged is in conditions.py, a person's word in overrides.py. `cannot tell` says how many
more labels would decide (labels_needed.py). The same inputs give the same decision.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from contract import clock
from contract.policy import GatePolicy
from metrics.judging.verdicts import (
    BUDGET,
    COOLING,
    EXIT_CODES,
    FAIL,
    FRAGILE,
    NO_CLASS,
    PASS,
    UNDECIDED,
    combine,
)
from pipeline.gates import labels_needed
from pipeline.gates.accepted import judge_accepted
from pipeline.gates.accuracy import judge_accuracy_by_window
from pipeline.gates.classes import judge_classes_and_slices
from pipeline.gates.combined import judge_combined_by_window
from pipeline.gates.conditions import judge_completeness, judge_freshness, judge_scope
from pipeline.gates.fragile import Without, mark_fragile
from pipeline.gates.optional import judge_optional
from pipeline.gates.overrides import apply_override, tell_overrides
from pipeline.gates.pictures import judge_pictures
from pipeline.gates.tally import Tally

GATES = ("accuracy", "class_recall", "class_precision", "slices", "drop_from_baseline", "drop_from_trivial", "calibration",
         "drift", "picture_drift", "cost", "accepted_accuracy", "coverage", "audit_labels")


def decide(policy: GatePolicy, evaluation: Mapping[str, Any], evaluation_id: str, live: str, tally: Tally,
           overrides: Sequence[Mapping[str, Any]] = (), retrainings: Sequence[str] = (),
           further: int | None = None, without: Sequence[Without] = (), same: Sequence[str] = ()) -> dict[str, Any]:
    """The decision document, all but the moment at which it was made.

    `overrides` are those of the newest history state, `retrainings` the moments (ISO 8601) at which earlier ones began,
    `further` the trusted labels that came since the newest of them that tried to replace `live` (None: none did),
    `without` what the counts would be without each person (empty: they were not recounted), `same` other versions of the same
    weights. Judged are the rows of `live` alone: what older versions did says nothing about it.
    """
    as_of = evaluation["as_of"]
    refused = judge_scope(evaluation) if tally.predictions else None  # without rows it says `no data`, whatever its scope
    gates = [refused] if refused else judge(policy, evaluation, live, tally, overrides, without, same)
    verdict, reasons = combine(gates)
    wanted = labels_needed.list_wishes(policy, tally, gates)
    strange = next((d["sentence"] for d in evaluation.get("doubts", ())
                    if d["kind"] == "no class named" and d["version"] == live), None)
    return {
        "schema": "1", "model": evaluation["model"], "version": live, "evaluation": evaluation_id,
        "role": evaluation.get("role", "live"), "window": evaluation["window"], "as_of": as_of,
        "policy": policy.model_dump(mode="json"),
        "labels": {"of_all_origins": tally.labelled, "of_trusted_origins": tally.of(policy.trusted_origins).n},
        "gates": gates, "verdict": verdict, "reasons": reasons, "exit_code": EXIT_CODES[verdict], "wishes": wanted,
        "retrain": _retrain(policy, gates, retrainings, as_of, further, NO_CLASS if strange else None),
        "sentence": " ".join(filter(None, (_sentence(live, verdict, gates, wanted), strange and f"Doubtful: {strange}"))),
    }


def judge(policy: GatePolicy, evaluation: Mapping[str, Any], live: str, tally: Tally,
          overrides: Sequence[Mapping[str, Any]], without: Sequence[Without] = (),
          same: Sequence[str] = ()) -> list[dict[str, Any]]:
    """All gates, each with a person's word where there is one, and the conditions behind them."""
    as_of = evaluation["as_of"]
    arriving = _is_arriving(evaluation, live)
    accuracy = (judge_combined_by_window(policy, tally, evaluation, live, arriving) if policy.estimate == "combined" else
                judge_accuracy_by_window(policy, tally, arriving))
    judged = [*accuracy, *judge_classes_and_slices(policy, tally),
              *judge_optional(policy, tally), *judge_pictures(policy, evaluation, [live, *same]),
              *judge_accepted(policy, tally, arriving)]
    gates = [apply_override(mark_fragile(policy, gate, tally, without), overrides, as_of) for gate in judged]
    return [*gates, judge_freshness(policy, tally, as_of),
            *([judge_completeness(evaluation["partial"])] if evaluation["partial"] else [])]


def _is_arriving(evaluation: Mapping[str, Any], live: str) -> bool:
    """Whether more labels are expected for a day of the live version's."""
    return any(point["provisional"] for point in evaluation["trend"] if point["version"] == live)


def _retrain(policy: GatePolicy, gates: Sequence[Mapping[str, Any]], began: Sequence[str], as_of: str,
             further: int | None, against: str | None = None) -> dict[str, Any]:
    """Only the accuracy gate starts a retraining, within the budget, and after a refusal on new labels alone: the same
    labels would make the same candidate. `against`: what else speaks against it."""
    since = clock.iso(clock.parse_moment(as_of) - timedelta(days=policy.retraining_days))
    spent = sum(since < moment <= as_of for moment in began)
    fails = any(gate["gate"] == "accuracy" and gate["verdict"] == FAIL for gate in gates)
    cooling = further is not None and further < policy.min_new_labels
    rests = any(gate["gate"] == "accuracy" and gate.get("reason") == FRAGILE and gate["verdict_of_the_gate"] == FAIL
                for gate in gates)
    reason: str | None = "one person decides that the accuracy gate fails" if rests else "the accuracy gate does not fail"
    if fails:
        reason = against or (BUDGET if spent >= policy.retrainings else COOLING if cooling else None)
    return {"fires": reason is None, "wanted": fails, "reason": reason, "spent": spent, "budget": policy.retrainings,
            "days": policy.retraining_days, "further_labels": further, "needed_labels": policy.min_new_labels}


def _sentence(live: str, verdict: str, gates: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> str:
    said = {PASS: "holds", FAIL: "does not hold", UNDECIDED: "cannot be judged"}[verdict]
    why = next((gate["sentence"] for gate in gates if gate["verdict"] == verdict), "The policy judges nothing here.")
    more = labels_needed.write_sentence(wanted) if verdict == UNDECIDED else ""
    return " ".join(filter(None, (f"Version {live} {said}.", why, more, tell_overrides(gates))))
