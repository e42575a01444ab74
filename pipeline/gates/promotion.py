"""Whether a candidate may replace the live version: a pure function of the policy and the paired counts of both.

Both versions answered the same held-out rows, so only the rows on which they disagree tell them apart. Overall the
candidate passes when it is clearly better (McNemar's exact test) or when the interval of the paired difference excludes
a drop of more than `max_drop`; it fails when the interval excludes anything else. A class fails when the candidate is
worse there (McNemar's exact one-sided test, Holm over the classes with enough support) by more than `max_class_drop`.
Promotion needs an overall pass and no class that fails; undecided classes are listed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.policy import GatePolicy
from metrics.intervals import tail_of
from metrics.significance.exact_tests import holm
from metrics.significance.paired import Paired
from pipeline.gates.decide import FAIL, NOT_JUDGED, PASS, UNDECIDED
from pipeline.gates.verdicts import list_some


def promotion(policy: GatePolicy, overall: Paired, classes: Mapping[str, Paired]) -> dict[str, Any]:
    """The decision: `verdict` for the whole, the overall comparison, one row per class, and a sentence."""
    whole, rows = judge_overall(policy, overall), class_rows(policy, classes)
    by = {v: [row["label"] for row in rows if row["verdict"] == v] for v in (FAIL, UNDECIDED, NOT_JUDGED)}
    verdict = FAIL if by[FAIL] else whole["verdict"]
    return {"verdict": verdict, "promote": verdict == PASS, "overall": whole, "classes": rows, "failed": by[FAIL],
            "undecided": by[UNDECIDED], "not_judged": by[NOT_JUDGED], "sentence": _sentence(whole, by, policy)}


def of_assessment(policy: GatePolicy, assessment: Mapping[str, Any]) -> dict[str, Any]:
    """The decision on an assessment's document. Overall it rests on the audited rows when there are enough of them:
    feedback is of rows that the live version got wrong. Classes are judged on all rows."""
    rests_on = assessment.get("decides", "overall")
    counts = assessment["overall"] if rests_on == "overall" else assessment["by_origin"][rests_on]
    classes = {row["label"]: Paired.of(row) for row in assessment["per_class"]}
    return promotion(policy, Paired.of(counts), classes) | {"rests_on": rests_on}


def judge_overall(policy: GatePolicy, counts: Paired) -> dict[str, Any]:
    """Candidate minus live over all rows, its interval and verdict."""
    if not counts.n:
        return {"n": 0, "value": None, "low": None, "high": None, "bound": -policy.max_drop, "p_live_not_worse": None,
                "verdict": UNDECIDED, "reason": "no rows"}
    row = _difference(counts, -policy.max_drop, policy.confidence)
    row["p_live_not_worse"] = counts.mcnemar()["live_worse"]
    better = row["p_live_not_worse"] <= tail_of(policy.confidence)
    row["verdict"] = PASS if better or row["low"] >= row["bound"] else FAIL if row["high"] < row["bound"] else UNDECIDED
    return row


def class_rows(policy: GatePolicy, classes: Mapping[str, Paired]) -> list[dict[str, Any]]:
    """The same by class; a class fails by a significant drop that is larger than the policy allows."""
    rows = [{"label": label, "verdict": NOT_JUDGED, **_difference(counts, -policy.max_class_drop, policy.confidence),
             "p": counts.mcnemar()["candidate_worse"]}
            for label, counts in sorted(classes.items()) if counts.n]
    judged = [row for row in rows if row["n"] >= policy.min_class_support]
    for row, p in zip(judged, holm([row["p"] for row in judged]).tolist(), strict=True):
        worse = p <= 1 - policy.confidence and row["value"] < row["bound"]
        row["p_adjusted"], row["verdict"] = p, FAIL if worse else PASS if row["low"] >= row["bound"] else UNDECIDED
    return rows


def _difference(counts: Paired, bound: float, confidence: float) -> dict[str, Any]:
    return {"n": counts.n, "live": counts.live()["value"], "candidate": counts.candidate()["value"],
            **counts.difference(confidence), "bound": bound}


def _sentence(whole: Mapping[str, Any], by: Mapping[str, Sequence[str]], policy: GatePolicy) -> str:
    if not whole["n"]:
        return "The dataset holds no held-out row, so the candidate cannot be compared."
    said = (f"On {whole['n']} held-out rows the candidate has {whole['candidate']:.3f}, the live version "
            f"{whole['live']:.3f}: a difference of {whole['value']:+.3f} ({whole['low']:+.3f} to {whole['high']:+.3f})")
    worse = f"; worse by more than {policy.max_class_drop:g} in {list_some(by[FAIL])}" if by[FAIL] else ""
    undecided = f"; undecided: {list_some(by[UNDECIDED])}" if by[UNDECIDED] else ""
    return f"{said}{worse}{undecided}."
