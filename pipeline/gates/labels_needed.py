"""How many more labels would decide what a gate could not tell, as a list that the review queue can take.

metrics/significance/power.py has the numbers: so many that a decision comes out in at least 80% of cases.

The queue draws random audits, every prediction alike: anything else would bias the very figure that is in doubt. So a
wish for labels of a rare class says both how many labels of it are missing and how many predictions have to be asked
(`items`) until so many came by. `trueup review sample --wishes EVALUATION` draws that many. An audit that asks most where
labels decide, with probabilities that are known, needs fewer for shares (PLANNABLE): `trueup review plan`.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

from contract.policy import GatePolicy
from contract.texts.figures import write_percent
from metrics.judging.verdicts import FRAGILE, UNDECIDED, UNEVEN
from metrics.significance import power
from metrics.significance.exact_tests import divide_level
from metrics.significance.power import MOST, POWER
from metrics.significance.share_of_origin import ENOUGH_KISH
from pipeline.gates.accuracy import need_labels
from pipeline.gates.tally import RightCount, Tally

MOST_ROWS = 200
PLANNABLE = ("accuracy", "class_recall", "class_precision", "slices", "drop_from_baseline", "drop_from_trivial")
ACCEPTED = "accepted_accuracy"
ASK = {"kind": "audit", "strategy": "random-audit"}


def list_wishes(policy: GatePolicy, tally: Tally, gates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """{"rows": one for each open question, "rows_omitted", "ask": what the queue is to draw, or null}.

    A row: gate, label (of a class or slice, else null), blocks, labels, items; null where no number up to 100,000 would.
    """
    rows = [row for gate in gates for row in _of_gate(policy, tally, gate)]
    rows.sort(key=lambda row: (not row["blocks"], row["labels"] is None, row["labels"] or 0, row["label"] or ""))
    needed = [row["items"] for row in rows if row["blocks"]]
    items = max((n for n in needed if n is not None), default=0)
    return {"power": POWER, "rows": rows[:MOST_ROWS], "rows_omitted": max(len(rows) - MOST_ROWS, 0),
            "ask": {**ASK, "items": items} if items else None}


def _of_gate(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> list[dict[str, Any]]:
    if gate.get("classes") is not None:
        return _of_classes(policy, tally, gate)
    if gate["verdict"] != UNDECIDED or gate["gate"] not in NEEDED or gate.get("reason") == FRAGILE:
        return []  # of a fragile one no number of labels tells: who gives them does
    labels = NEEDED[gate["gate"]](policy, tally, gate)
    if labels is None and not gate.get("n"):
        return []  # how many shows once there are some
    items = labels
    if gate["gate"] == ACCEPTED and labels and gate["n"]:  # a random audit asks about others, too
        items = power.predictions_to_ask(labels, gate["n"], tally.of(policy.trusted_origins).n)
    return [{"gate": gate["gate"], "label": None, "blocks": True, "labels": labels, "items": items}]


def _of_classes(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Undecided classes, and those too small to be judged; none of them blocks."""
    total = tally.of(policy.trusted_origins).n
    level, found = divide_level(1 - policy.confidence, gate["judged"]), []
    for row in gate["classes"]:
        if row["verdict"] == UNDECIDED:
            n = round(row["n_effective"])
            right = row["right"] if row["right"] is not None else min(round(row["value"] * n), n)
            labels = power.labels_to_decide(right, n, gate["bound"], level, policy.confidence)
        elif row["n_effective"] < policy.min_class_support:
            labels = ceil(policy.min_class_support - row["n_effective"])
        else:
            continue
        items = power.predictions_to_ask(labels, row["n"], total) if labels and row["n"] else None
        found.append({"gate": gate["gate"], "label": row["label"], "blocks": False, "labels": labels, "items": items})
    return found


def _for_accuracy(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    """Labels drawn alike; where those that are there were not, in the size that they stand for."""
    size, least = round(gate["size"]), policy.min_new_labels - gate["n"]
    right = gate["right"] if gate["right"] is not None else round(gate["size"] * gate["value"])
    if gate.get("reason") == UNEVEN:
        least = max(least, ceil(ENOUGH_KISH - gate["n_effective"]))
    return power.labels_to_decide(min(right, size), size, gate["bound"], gate["level"], policy.confidence, least=least)


def _for_accepted(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    """The same of accepted answers: None where none of them has a label yet."""
    return _for_accuracy(policy, tally, gate) if gate["n"] else None


def _for_baseline(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    """Labels of the judged version, those of the baseline staying: None where the baseline has too few itself."""
    ours, theirs = tally.of(policy.trusted_origins), tally.baseline or RightCount()
    if not (ours.n and theirs.n):
        return None
    return power.labels_for_difference((ours.right, theirs.right), (ours.n, theirs.n), gate["value"], gate["bound"],
                                       policy.confidence)


def _for_trivial(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    if gate.get("value") is None:
        return None
    return power.labels_for_paired(gate["only_model"], gate["only_trivial"], gate["n"], gate["value"], gate["bound"],
                                   policy.confidence)


def _for_calibration(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    if gate.get("value") is None:
        return None
    return power.labels_for_margin(gate["value"], tally.calibration["margin"], gate["n"], gate["bound"])


def _for_cost(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    if gate.get("value") is None:
        return max(need_labels(policy) - gate["n"], 0) or None
    margin = gate["high"] - gate["value"] if gate["value"] < gate["bound"] else gate["value"] - gate["low"]
    return power.labels_for_interval(gate["value"], margin, gate["n"], gate["bound"], policy.confidence)


def _for_coverage(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    return max(ceil(gate["bound"] * tally.predictions) - gate["n"], 0) or None


def _for_audit(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    return int(gate["bound"]) - gate["n"]


NEEDED: dict[str, Callable[[GatePolicy, Tally, Mapping[str, Any]], int | None]] = {
    "accuracy": _for_accuracy, ACCEPTED: _for_accepted, "drop_from_baseline": _for_baseline, "drop_from_trivial": _for_trivial,
    "calibration": _for_calibration, "cost": _for_cost, "coverage": _for_coverage, "audit_labels": _for_audit}


def is_plannable(found: Mapping[str, Any]) -> bool:
    """Says whether a planned audit (`trueup review plan`) would answer one of the open questions."""
    return any(row["gate"] in PLANNABLE for row in found["rows"])


def write_sentence(found: Mapping[str, Any]) -> str:
    """What would decide, for a person; empty when nothing is open, or when nobody can know yet."""
    blocking = [row for row in found["rows"] if row["blocks"]]
    if not blocking:
        return ""
    if any(row["labels"] is None for row in blocking):
        names = ", ".join(sorted({row["gate"].replace("_", " ") for row in blocking if row["labels"] is None}))
        return (f"No number of labels up to {MOST:,} would decide {names} in {write_percent(POWER)} of cases: it lies "
                f"too close to its bound, or what it is compared with is too small.")
    most = max(row["labels"] for row in blocking)
    return f"About {most:,} more audit labels would decide in {write_percent(POWER)} of cases."
