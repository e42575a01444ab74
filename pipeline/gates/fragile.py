"""Whether one person alone decides a verdict: each gate over labels is judged again without each of the largest of them.

A fail is fragile when without somebody its p is above 0.05, a pass when without somebody the value lies below the bound; too
few or too uneven rows without them are no flip. The 0.05 is on purpose not the level at which the gate fails: an honest
fail has just crossed that level when it is first seen, so that without any tenth of the labels it has mostly not
(benchmarks/recounts.py). Judged again are accuracy and the classes. Slices, calibration, drift, cost, accepted answers, coverage
and the differences to a baseline are not: the rows behind the counts do not have all that they rest on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.policy import GatePolicy
from contract.texts.figures import write_count, write_percent
from metrics.judging.verdicts import FAIL, FRAGILE, PASS, UNDECIDED
from metrics.selection.origin_sums import Sums
from metrics.significance.share_of_origin import is_uneven, judge_share
from pipeline.gates.accuracy import need_labels
from pipeline.gates.classes import judge_classes_and_slices
from pipeline.gates.tally import Tally, add_changes

FRAGILE_P = 0.05
MOST_NAMED = 3


@dataclass(frozen=True)
class Without:
    """A person, and what the judged version's tally changes by without them (pipeline.gates.tally.add_changes)."""

    kind: str
    name: str | None
    votes: int
    share: float
    change: Tally


def mark_fragile(policy: GatePolicy, gate: dict[str, Any], tally: Tally, without: Sequence[Without]) -> dict[str, Any]:
    """The gate, and who decides it alone; it cannot tell then, unless the policy allows it."""
    recount = RECOUNTS.get(gate["gate"])
    if recount is None or gate["verdict"] not in (PASS, FAIL):
        return gate
    flips = [_describe(person, found) for person in without if (found := recount(policy, gate, tally, person)) is not None]
    if not flips:
        return gate
    flips.sort(key=lambda f: f["value"], reverse=gate["verdict"] == FAIL)
    marked = gate | {"fragile": flips, "sentence": f"{gate['sentence']} {_say(gate, flips, policy.allow_fragile)}"}
    if policy.allow_fragile:
        return marked
    return marked | {"verdict": UNDECIDED, "reason": FRAGILE, "verdict_of_the_gate": gate["verdict"]}


def _recount_accuracy(policy: GatePolicy, gate: Mapping[str, Any], tally: Tally, person: Without) -> dict[str, Any] | None:
    """The figure without somebody where that flips the accuracy gate; None where it does not, or nothing can be told."""
    whole, change = (t.windows.get(gate["days"], Tally()) if "days" in gate else t for t in (tally, person.change))
    origin = gate["origin"]
    found = judge_share(whole.sums(origin) + change.weights.get(origin, Sums()), gate["bound"], policy.confidence, gate["level"])
    if found["n"] < need_labels(policy) or is_uneven(found):
        return None
    return found if _flips(gate["verdict"], found, gate["bound"]) else None


def _recount_classes(policy: GatePolicy, gate: Mapping[str, Any], tally: Tally, person: Without) -> dict[str, Any] | None:
    """The same of a gate over classes: a fail flips when no class that fails still does, a pass when one that passed does
    not."""
    again = next(g for g in judge_classes_and_slices(policy, add_changes(tally, person.change)) if g["gate"] == gate["gate"])
    rows = {row["label"]: row for row in again["classes"] if row["n_effective"] >= policy.min_class_support}
    of_verdict = [row["label"] for row in gate["classes"] if row["verdict"] == gate["verdict"]]
    flipped = [rows[x] for x in of_verdict if x in rows and _flips(gate["verdict"], rows[x], gate["bound"])]
    if not flipped or (gate["verdict"] == FAIL and len(flipped) < len(of_verdict)):
        return None
    return min(flipped, key=lambda row: row["value"])


def _flips(verdict: str, found: Mapping[str, Any], bound: float) -> bool:
    return bool(found["p"] > FRAGILE_P if verdict == FAIL else found["value"] < bound)


RECOUNTS: dict[str, Callable[[GatePolicy, Mapping[str, Any], Tally, Without], dict[str, Any] | None]] = {
    "accuracy": _recount_accuracy, "class_recall": _recount_classes, "class_precision": _recount_classes}


def _describe(person: Without, found: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": person.kind, "name": person.name, "votes": person.votes, "share": person.share, "value": found["value"],
            "p": found["p"], "label": found.get("label")}


def _say(gate: Mapping[str, Any], flips: Sequence[Mapping[str, Any]], allowed: bool) -> str:
    """What a sentence says of a verdict that one person decides."""
    first, others = flips[0], [_name(f) for f in flips[1:MOST_NAMED]]
    also = f" (so it does on {' and on '.join(others)})" if others else ""
    of = f" of {first['label']!r}" if first["label"] is not None else ""
    what = "the audit alone" if gate.get("estimate") == "combined" else "it"
    without = (f"without the {write_count(first['votes'], 'label')} ({write_percent(first['share'])}) of theirs {what}{of} is "
               f"{write_percent(first['value'], 1)}")
    to_bound = ("below the bound" if gate["verdict"] == PASS else "above the bound" if first["value"] >= gate["bound"]
                else "too near the bound to tell")
    end = "It counts, because gates.allow_fragile is set." if allowed else "So it cannot tell: look at what they gave."
    return f"Fragile: this {gate['verdict']} rests on {_name(first)}{also}: {without}, {to_bound}. {end}"


def _name(flip: Mapping[str, Any]) -> str:
    return f"{flip['kind']} {flip['name']}" if flip["name"] is not None else "the labels that name nobody"
