"""Whether the live version still holds: a pure function of (policy, evaluation, counts, history).

Three answers: pass, fail, cannot tell. The accuracy gate is looked at every day, so its error is stated per year: it
fails when the exact one-sided p of "accuracy >= bound" is at most a / 365 (docs/design.md#gates), shared by its windows
when there are several. It passes when the whole interval lies at or above the bound. Classes and slices are one family
(classes.py); the gates that a policy may add are in optional.py. `cannot tell` says how many more labels would decide
(labels_needed.py). The same inputs give the same decision.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from contract import clock
from contract.policy import GatePolicy
from metrics.significance.exact_tests import divide_level
from pipeline.gates import labels_needed
from pipeline.gates.classes import class_gate, family_gates
from pipeline.gates.optional import judge_optional
from pipeline.gates.tally import Tally
from pipeline.gates.verdicts import (
    ARRIVING,
    BUDGET,
    EXIT_CODES,
    FAIL,
    NO_DATA,
    NOT_JUDGED,
    PARTIAL,
    PASS,
    TOO_FEW,
    UNDECIDED,
    combine,
    figures,
)

__all__ = ["BUDGET", "FAIL", "GATES", "NOT_JUDGED", "PASS", "UNDECIDED", "accuracy_gate", "class_gate", "decide"]
GATES = ("accuracy", "class_recall", "class_precision", "slices", "drop_from_baseline", "drop_from_trivial", "calibration",
         "drift", "coverage", "audit_labels")
LOOKS_PER_YEAR = 365
SAID = {PASS: "it holds the bound", FAIL: "it is below the bound", UNDECIDED: "more labels would decide"}


def decide(policy: GatePolicy, evaluation: Mapping[str, Any], evaluation_id: str, live: str, tally: Tally,
           overrides: Sequence[Mapping[str, Any]] = (), retrainings: Sequence[str] = ()) -> dict[str, Any]:
    """The decision document, all but the moment at which it was made.

    `overrides` are those of the newest history state, `retrainings` the moments (ISO 8601) at which earlier ones began.
    Judged are the rows of `live` alone: what older versions did says nothing about it.
    """
    as_of, arriving = evaluation["as_of"], _is_arriving(evaluation, live)
    judged = [*accuracy_gates(policy, tally, arriving), *family_gates(policy, tally), *judge_optional(policy, tally)]
    gates = [_override(gate, overrides, as_of) for gate in judged]
    gates += [_refuse_partial(evaluation["partial"])] if evaluation["partial"] else []
    verdict, reasons = combine(gates)
    wanted = labels_needed.wishes(policy, tally, gates)
    return {
        "schema": "1", "model": evaluation["model"], "version": live, "evaluation": evaluation_id,
        "window": evaluation["window"], "as_of": as_of, "policy": policy.model_dump(mode="json"),
        "labels": {"of_all_origins": tally.labelled, "of_trusted_origins": tally.of(policy.trusted_origins).n},
        "gates": gates, "verdict": verdict, "reasons": reasons, "exit_code": EXIT_CODES[verdict], "wishes": wanted,
        "retrain": _retrain(policy, gates, retrainings, as_of), "sentence": _sentence(live, verdict, gates, wanted),
    }


def accuracy_gates(policy: GatePolicy, tally: Tally, arriving: bool = False) -> list[dict[str, Any]]:
    """The retraining gate: over the evaluation's window, or one for each window of the policy."""
    if policy.min_accuracy is None:
        return []
    windows = [(tally.windows[days], {"days": days}) for days in policy.window_days] or [(tally, {})]
    gates = [(accuracy_gate(policy, of_window, arriving), days) for of_window, days in windows]
    return [gate | days for gate, days in gates if gate is not None]


def accuracy_gate(policy: GatePolicy, tally: Tally, arriving: bool = False) -> dict[str, Any] | None:
    """The retraining gate over one window, or None when the policy has no bound."""
    bound = policy.min_accuracy
    if bound is None:
        return None
    share = tally.of(policy.trusted_origins)
    level = divide_level(divide_level(policy.false_alarms_per_year, LOOKS_PER_YEAR), len(policy.window_days))
    row = {"gate": "accuracy", "bound": bound, "level": level, **figures([share], bound, policy.confidence)[0]}
    if not tally.predictions:
        return row | {"verdict": UNDECIDED, "reason": NO_DATA, "sentence": "No prediction of it lies in the window."}
    if not share.n or tally.labelled < policy.min_new_labels:
        return row | {"verdict": UNDECIDED, "reason": ARRIVING if arriving else TOO_FEW, "sentence":
                      f"Expected {policy.min_new_labels} labels or more, some of them from "
                      f"{' or '.join(policy.trusted_origins)}; there are {tally.labelled}, {share.n} of them trusted."}
    verdict = FAIL if row["p"] <= level else PASS if row["low"] >= bound else UNDECIDED
    reason = {} if verdict != UNDECIDED else {"reason": ARRIVING if arriving else TOO_FEW}
    return row | {"verdict": verdict, **reason, "sentence": _accuracy_sentence(row, verdict)}


def _is_arriving(evaluation: Mapping[str, Any], live: str) -> bool:
    """Whether more labels are expected for a day of the live version's."""
    return any(point["provisional"] for point in evaluation["trend"] if point["version"] == live)


def _override(gate: dict[str, Any], overrides: Sequence[Mapping[str, Any]], as_of: str) -> dict[str, Any]:
    """The gate with the newest override that holds at `as_of`: it passes, and says by whom and what it said itself."""
    holding = [o for o in overrides if o["gate"] == gate["gate"] and o["at"] <= as_of < o["until"]]
    if not holding or gate["verdict"] == PASS:
        return gate
    return gate | {"verdict": PASS, "verdict_of_the_gate": gate["verdict"], "override": dict(holding[-1])}


def _refuse_partial(partial: Sequence[Any]) -> dict[str, Any]:
    return {"gate": "complete", "verdict": UNDECIDED, "reason": PARTIAL, "left_out": list(partial), "sentence":
            f"The evaluation left out {len(partial)} parts of the data, so it cannot pass. Evaluate without them missing."}


def _retrain(policy: GatePolicy, gates: Sequence[Mapping[str, Any]], began: Sequence[str], as_of: str) -> dict[str, Any]:
    """Only the accuracy gate starts a retraining, and only within the budget: this is what keeps it from flapping."""
    since = clock.iso(clock.parse_moment(as_of) - timedelta(days=policy.retraining_days))
    spent = sum(since < moment <= as_of for moment in began)
    fails = any(gate["gate"] == "accuracy" and gate["verdict"] == FAIL for gate in gates)
    left = policy.retrainings - spent
    reason = None if fails and left > 0 else BUDGET if fails else "the accuracy gate does not fail"
    return {"fires": reason is None, "reason": reason, "spent": spent, "budget": policy.retrainings,
            "days": policy.retraining_days}


def _accuracy_sentence(row: Mapping[str, Any], verdict: str) -> str:
    return (f"Accuracy is {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}) over {row['n']} trusted labels, the "
            f"bound is {row['bound']:g}: {SAID[verdict]} (p {row['p']:.2g}, fails at {row['level']:.2g}).")


def _sentence(live: str, verdict: str, gates: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> str:
    said = {PASS: "holds", FAIL: "does not hold", UNDECIDED: "cannot be judged"}[verdict]
    why = next((gate["sentence"] for gate in gates if gate["verdict"] == verdict), "The policy judges nothing here.")
    more = labels_needed.sentence(wanted) if verdict == UNDECIDED else ""
    return f"Version {live} {said}. {why}{' ' if more else ''}{more}"
