"""Whether the live version still holds: a pure function of (policy, evaluation, counts, history).

Three answers: pass, fail, cannot tell. The accuracy gate is looked at every day, so its error is stated per year: it
fails when the exact one-sided p of "accuracy >= bound" is at most a / 365 (design, section 4). It passes when the whole
interval lies at or above the bound. A class fails by an exact one-sided test with Holm's correction over the classes
that have enough support. The same inputs give the same decision.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from contract import clock
from contract.errors import CANNOT_TELL, DONE, GATE_SAYS_NO
from contract.intervals import holm, p_at_least, wilson
from contract.policy import GatePolicy
from pipeline.tally import Share, Tally

PASS, FAIL, UNDECIDED, NOT_JUDGED = "pass", "fail", "cannot tell", "not judged"
EXIT_CODES = {PASS: DONE, FAIL: GATE_SAYS_NO, UNDECIDED: CANNOT_TELL}
NO_DATA, NO_GATE, ARRIVING, TOO_FEW = "no data", "no gate", "labels still arriving", "too few labels"
PARTIAL, BUDGET = "partial evaluation", "retraining budget spent"
GATES = ("accuracy", "class_recall", "class_precision")


def decide(policy: GatePolicy, evaluation: Mapping[str, Any], evaluation_id: str, live: str, tally: Tally,
           overrides: Sequence[Mapping[str, Any]] = (), retrainings: Sequence[str] = ()) -> dict[str, Any]:
    """The decision document, all but the moment at which it was made.

    `overrides` are those of the newest history state, `retrainings` the moments (ISO 8601) at which earlier ones began.
    Judged are the rows of `live` alone: what older versions did says nothing about it.
    """
    as_of = evaluation["as_of"]
    judged = [accuracy_gate(policy, tally, _arriving(evaluation, live)),
              class_gate("class_recall", policy.min_class_recall, tally.recall, policy),
              class_gate("class_precision", policy.min_class_precision, tally.precision, policy)]
    gates = [_overridden(gate, overrides, as_of) for gate in judged if gate is not None]
    gates += [_partial(evaluation["partial"])] if evaluation["partial"] else []
    overall, reasons = _overall(gates)
    return {
        "schema": "1", "model": evaluation["model"], "version": live, "evaluation": evaluation_id,
        "window": evaluation["window"], "as_of": as_of, "policy": policy.model_dump(mode="json"),
        "labels": {"of_all_origins": tally.labelled, "of_trusted_origins": tally.of(policy.trusted_origins).n},
        "gates": gates, "verdict": overall, "reasons": reasons, "exit_code": EXIT_CODES[overall],
        "retrain": _retrain(policy, gates, retrainings, as_of), "sentence": _sentence(live, overall, gates),
    }


def accuracy_gate(policy: GatePolicy, tally: Tally, arriving: bool = False) -> dict[str, Any] | None:
    """The retraining gate, or None when the policy has no bound."""
    bound = policy.min_accuracy
    if bound is None:
        return None
    share, level = tally.of(policy.trusted_origins), policy.false_alarms_per_year / 365
    row = {"gate": "accuracy", "bound": bound, "level": level, **_figures([share], bound, policy.confidence)[0]}
    if not tally.predictions:
        return row | {"verdict": UNDECIDED, "reason": NO_DATA, "sentence": "No prediction of it lies in the window."}
    if not share.n or tally.labelled < policy.min_new_labels:
        return row | {"verdict": UNDECIDED, "reason": ARRIVING if arriving else TOO_FEW, "sentence":
                      f"Expected {policy.min_new_labels} labels or more, some of them from "
                      f"{' or '.join(policy.trusted_origins)}; there are {tally.labelled}, {share.n} of them trusted."}
    verdict = FAIL if row["p"] <= level else PASS if row["low"] >= bound else UNDECIDED
    reason = {} if verdict != UNDECIDED else {"reason": ARRIVING if arriving else TOO_FEW}
    return row | {"verdict": verdict, **reason, "sentence": _accuracy_sentence(row, verdict)}


def class_gate(name: str, bound: float | None, shares: Mapping[str, Share], policy: GatePolicy) -> dict[str, Any] | None:
    """One family of classes, or None when the policy has no bound: it fails when Holm's test rejects a class.

    A class that is neither clearly below the bound nor clearly above is listed as undecided, and does not block.
    """
    if bound is None:
        return None
    labels = sorted(shares)
    figures = _figures([shares[label] for label in labels], bound, policy.confidence)
    rows = [{"label": label, **row} for label, row in zip(labels, figures, strict=True)]
    judged = [row for row in rows if row["n"] >= policy.min_class_support]
    alpha = 1 - policy.confidence
    for row, p in zip(judged, holm([row["p"] for row in judged]).tolist(), strict=True):
        row["p_adjusted"] = p
        row["verdict"] = FAIL if p <= alpha else PASS if row["low"] >= bound else UNDECIDED
    by = {v: [row["label"] for row in judged if row["verdict"] == v] for v in (FAIL, UNDECIDED)}
    verdict = NOT_JUDGED if not judged else FAIL if by[FAIL] else PASS
    worst = min(judged, key=lambda row: (row["value"], row["label"]), default=None)
    return {"gate": name, "bound": bound, "level": alpha, "worst": worst and worst["label"],
            **_figures([shares[worst["label"]] if worst else Share()], bound, policy.confidence)[0],
            "classes": [{"verdict": NOT_JUDGED} | row for row in rows],
            "judged": len(judged), "not_judged": len(rows) - len(judged), "failed": by[FAIL],
            "undecided": by[UNDECIDED], "verdict": verdict, "sentence": _class_sentence(name, bound, worst, by, policy)}


def _figures(shares: Sequence[Share], bound: float, confidence: float) -> list[dict[str, Any]]:
    """Value, interval and p of each share; null where there is no row."""
    right, n = (np.array([getattr(share, name) for share in shares], float) for name in ("right", "n"))
    size = np.where(n > 0, n, 1)
    low, high = wilson(right, size, confidence)
    columns = (right / size, low, high, p_at_least(right, size, bound))
    found = [dict(zip(("value", "low", "high", "p"), row, strict=True)) for row in zip(*map(list, columns), strict=True)]
    nothing = dict.fromkeys(("value", "low", "high", "p"))
    return [{"right": share.right, "n": share.n, **({k: float(v) for k, v in row.items()} if share.n else nothing)}
            for share, row in zip(shares, found, strict=True)]


def _arriving(evaluation: Mapping[str, Any], live: str) -> bool:
    """Whether more labels are expected for a day of the live version's."""
    return any(point["provisional"] for point in evaluation["trend"] if point["version"] == live)


def _overridden(gate: dict[str, Any], overrides: Sequence[Mapping[str, Any]], as_of: str) -> dict[str, Any]:
    """The gate with the newest override that holds at `as_of`: it passes, and says by whom and what it said itself."""
    holding = [o for o in overrides if o["gate"] == gate["gate"] and o["at"] <= as_of < o["until"]]
    if not holding or gate["verdict"] == PASS:
        return gate
    return gate | {"verdict": PASS, "verdict_of_the_gate": gate["verdict"], "override": dict(holding[-1])}


def _partial(partial: Sequence[Any]) -> dict[str, Any]:
    return {"gate": "complete", "verdict": UNDECIDED, "reason": PARTIAL, "left_out": list(partial), "sentence":
            f"The evaluation left out {len(partial)} parts of the data, so it cannot pass. Evaluate without them missing."}


def _overall(gates: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    judging = [gate for gate in gates if gate["verdict"] != NOT_JUDGED]
    if not judging:
        return UNDECIDED, [NO_GATE]
    verdicts = [gate["verdict"] for gate in judging]
    overall = next(v for v in (FAIL, UNDECIDED, PASS) if v in verdicts)
    return overall, sorted({gate["reason"] for gate in judging if gate["verdict"] == UNDECIDED})


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
    said = {PASS: "it holds the bound", FAIL: "it is below the bound", UNDECIDED: "more labels would decide"}[verdict]
    return (f"Accuracy is {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}) over {row['n']} trusted labels, the "
            f"bound is {row['bound']:g}: {said} (p {row['p']:.2g}, fails at {row['level']:.2g}).")


def _class_sentence(name: str, bound: float, worst: Mapping[str, Any] | None, by: Mapping[str, list[str]],
                    policy: GatePolicy) -> str:
    what = name.removeprefix("class_")
    if worst is None:
        return f"No class has {policy.min_class_support} trusted labels, so none is judged."
    said = f"Worst {what} is {worst['value']:.3f} ({worst['label']!r}, {worst['n']} rows), the bound is {bound:g}"
    failed = f"; below it: {some(by[FAIL])}" if by[FAIL] else "; no class is below it"
    return said + failed + (f"; undecided: {some(by[UNDECIDED])}." if by[UNDECIDED] else ".")


def some(labels: Sequence[str], most: int = 5) -> str:
    """The first labels, quoted and escaped, and how many more there are."""
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(map(repr, labels[:most])) + more


def _sentence(live: str, overall: str, gates: Sequence[Mapping[str, Any]]) -> str:
    said = {PASS: "holds", FAIL: "does not hold", UNDECIDED: "cannot be judged"}[overall]
    why = next((gate["sentence"] for gate in gates if gate["verdict"] == overall), "The policy judges nothing here.")
    return f"Version {live} {said}. {why}"
