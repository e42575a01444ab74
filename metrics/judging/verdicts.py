"""The words of gates: verdicts and reasons, how verdicts follow from intervals and from each other, labels in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.errors import CANNOT_TELL, DONE, GATE_SAYS_NO

PASS, FAIL, UNDECIDED, NOT_JUDGED = "pass", "fail", "cannot tell", "not judged"
EXIT_CODES = {PASS: DONE, FAIL: GATE_SAYS_NO, UNDECIDED: CANNOT_TELL}
NO_DATA, NO_GATE, ARRIVING, TOO_FEW = "no data", "no gate", "labels still arriving", "too few labels"
TOO_FEW_PICTURES = "too few pictures"
NO_BASELINE, PARTIAL, BUDGET = "no baseline", "partial evaluation", "retraining budget spent"
NO_CLASS = "not one label names a class that it knows"  # why it does not retrain either: labels written otherwise teach nothing
COOLING = "no further labels since the last attempt"  # why a failing gate does not retrain, beside the budget
STALE, UNEVEN, UNNAMED = "stale", "uneven", "unnamed"
NO_COMBINED = "no combined estimate"
FRAGILE = "fragile"  # one person decides
OTHER_ROLE, OTHER_WINDOW = "another role", "another window"  # such an evaluation is a report, no verdict
CONDITIONS = ("freshness", "scope", "complete")  # what must hold before a policy judges anything; holding says nothing


def make_undecided(reason: str, sentence: str) -> dict[str, Any]:
    """Makes what a gate says when it cannot tell."""
    return {"verdict": UNDECIDED, "reason": reason, "sentence": sentence}


def judge_interval(low: float, high: float, least: float) -> str:
    """Pass when the whole interval is at least `least`, fail when all of it is below."""
    return PASS if low >= least else FAIL if high < least else UNDECIDED


def list_some(labels: Sequence[str], most: int = 5) -> str:
    """The first labels, quoted and escaped, and how many more there are."""
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(map(repr, labels[:most])) + more


def combine(gates: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Fail before cannot tell before pass, and why it cannot tell. Gates that judged nothing have no say."""
    judging = [gate for gate in gates if gate["verdict"] != NOT_JUDGED
               and not (gate["gate"] in CONDITIONS and gate["verdict"] == PASS)]
    if not judging:
        return UNDECIDED, [NO_GATE]
    verdicts = [gate["verdict"] for gate in judging]
    found = next(v for v in (FAIL, UNDECIDED, PASS) if v in verdicts)
    return found, sorted({gate["reason"] for gate in judging if gate["verdict"] == UNDECIDED})
