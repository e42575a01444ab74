"""Gates over many: classes and slice values, one family of exact one-sided tests with Holm's correction.

However many classes and slices there are, the chance that a healthy model fails any of them stays at the level.
"""

from collections.abc import Mapping
from typing import Any

from contract.policy import GatePolicy
from metrics.significance.exact_tests import holm
from pipeline.gates.tally import RightCount, Tally
from pipeline.gates.verdicts import FAIL, NOT_JUDGED, PASS, UNDECIDED, figures, list_some

Member = tuple[str, float, Mapping[str, RightCount]]


def family_gates(policy: GatePolicy, tally: Tally) -> list[dict[str, Any]]:
    """The gates of classes and slices that the policy has a bound for."""
    slices = {f"{name}={value}": share for (name, value), share in tally.slices.items()}
    wanted = (("class_recall", policy.min_class_recall, tally.recall),
              ("class_precision", policy.min_class_precision, tally.precision),
              ("slices", policy.min_slice_accuracy, slices))
    return family([(name, bound, shares) for name, bound, shares in wanted if bound is not None], policy)


def class_gate(name: str, bound: float | None, shares: Mapping[str, RightCount], policy: GatePolicy) -> dict[str, Any] | None:
    """One gate that is a family of its own, or None when the policy has no bound."""
    return None if bound is None else family([(name, bound, shares)], policy)[0]


def family(members: list[Member], policy: GatePolicy) -> list[dict[str, Any]]:
    """One gate for each member; a member fails when Holm's test over all of them rejects one of its rows.

    A class that is neither clearly below the bound nor clearly above is listed as undecided, and does not block.
    """
    rows = {name: _rows(bound, shares, policy) for name, bound, shares in members}
    judged = [(row, bound) for name, bound, _ in members for row in rows[name] if row["n"] >= policy.min_class_support]
    alpha = 1 - policy.confidence
    for (row, bound), p in zip(judged, holm([row["p"] for row, _ in judged]).tolist(), strict=True):
        row["p_adjusted"] = p
        row["verdict"] = FAIL if p <= alpha else PASS if row["low"] >= bound else UNDECIDED
    return [_gate(name, bound, rows[name], policy) for name, bound, _ in members]


def _rows(bound: float, shares: Mapping[str, RightCount], policy: GatePolicy) -> list[dict[str, Any]]:
    labels = sorted(shares)
    found = figures([shares[label] for label in labels], bound, policy.confidence)
    return [{"verdict": NOT_JUDGED, "label": label, **row} for label, row in zip(labels, found, strict=True)]


def _gate(name: str, bound: float, rows: list[dict[str, Any]], policy: GatePolicy) -> dict[str, Any]:
    judged = [row for row in rows if row["verdict"] != NOT_JUDGED]
    by = {v: [row["label"] for row in judged if row["verdict"] == v] for v in (FAIL, UNDECIDED)}
    worst = min(judged, key=lambda row: (row["value"], row["label"]), default=None)
    at = RightCount(worst["right"], worst["n"]) if worst else RightCount()
    return {"gate": name, "bound": bound, "level": 1 - policy.confidence, "worst": worst and worst["label"],
            **figures([at], bound, policy.confidence)[0], "classes": rows,
            "judged": len(judged), "not_judged": len(rows) - len(judged), "failed": by[FAIL],
            "undecided": by[UNDECIDED], "verdict": NOT_JUDGED if not judged else FAIL if by[FAIL] else PASS,
            "sentence": _sentence(name, bound, worst, by, policy)}


def _sentence(name: str, bound: float, worst: Mapping[str, Any] | None, by: Mapping[str, list[str]],
              policy: GatePolicy) -> str:
    what, kind = ("accuracy", "slice") if name == "slices" else (name.removeprefix("class_"), "class")
    if worst is None:
        return f"No {kind} has {policy.min_class_support} trusted labels, so none is judged."
    said = f"Worst {what} is {worst['value']:.3f} ({worst['label']!r}, {worst['n']} rows), the bound is {bound:g}"
    failed = f"; below it: {list_some(by[FAIL])}" if by[FAIL] else f"; no {kind} is below it"
    return said + failed + (f"; undecided: {list_some(by[UNDECIDED])}." if by[UNDECIDED] else ".")
