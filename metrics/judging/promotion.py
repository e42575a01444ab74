"""Whether a candidate may replace the live version: a pure function of the policy and the paired counts of both.

Both versions answered the same held-out rows, so only the rows on which they disagree tell them apart. The comparison
rests on one origin that the policy trusts (`gates.trusted_origins`, as the retraining gate does), of the newest part of
the holdout where that is big enough, else of all of it; without `min_held_out` such rows nothing can be told. The
candidate passes when it is clearly better (McNemar's exact test) or when the interval of the paired difference excludes
a drop of more than `max_drop`; it fails when the interval excludes anything else. A class fails when the candidate is
worse there (McNemar's exact one-sided test, Holm over the classes with enough support) by more than `max_class_drop`,
over the trusted rows of the whole holdout. Promotion needs an overall pass, no class that fails, and the candidate's
accuracy above the floor and its calibration error within the bound where there is one; undecided classes are listed. Where the
policy says how much may be forgotten, the held-out rows of the first dataset must allow it, too (metrics/judging/forgetting.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.counts import ORIGINS
from contract.policy import GatePolicy
from contract.texts.figures import write_bound, write_change, write_figure, write_percent, write_points
from metrics.calibration import error_figure
from metrics.intervals import tail_of
from metrics.judging.forgetting import judge_forgetting, say_forgetting
from metrics.judging.verdicts import FAIL, FRAGILE, NOT_JUDGED, PASS, TOO_FEW, UNDECIDED, judge_interval, list_some
from metrics.significance.exact_tests import holm
from metrics.significance.paired import Paired

NO_PAIRS = Paired(0, 0, 0, 0)
NEWEST, WHOLE = "newest", "all"
HELD_OUT = "held-out rows"
BETTER, WORSE = "better", "worse"


def judge_assessment(policy: GatePolicy, assessment: Mapping[str, Any], floor: float | None = None,
                  rows: str = HELD_OUT, max_ece: float | None = None) -> dict[str, Any]:
    """The decision on an assessment's document, with what it rests on. `floor`: least accuracy of the candidate.

    `rows`: what its rows are, in words. `max_ece`: largest calibration error of the candidate (docs/calibration.md).
    """
    part, origin, counts = choose_rows(policy, assessment)
    decision = decide_promotion(policy, counts, count_trusted_classes(policy, assessment), floor, origin, rows,
                                judge_forgetting(policy, assessment))
    decision = add_calibration(decision, judge_calibration(policy, assessment, origin, max_ece))
    window = assessment.get("window") or {}
    decision |= find_fragile(policy, assessment, decision, part, origin, rows)
    return decision | {"rests_on": {"origin": origin, "part": part, "n": counts.n, "dataset": assessment.get("dataset"),
                                    "window": {k: window.get(k) for k in ("from", "to")} if part == NEWEST else None,
                                    "held_out": {o: Paired.of(row).n for o, row in sorted(_by_origin(assessment).items())}}}


def compare_by_interval(difference: Mapping[str, Any]) -> str:
    """Says whether a candidate is better or worse: where the whole interval of candidate minus live lies on one side of 0."""
    if difference["value"] is None:
        return UNDECIDED
    return BETTER if difference["low"] > 0 else WORSE if difference["high"] < 0 else UNDECIDED


def find_fragile(policy: GatePolicy, assessment: Mapping[str, Any], decision: Mapping[str, Any], part: str,
                 origin: str | None, rows: str = HELD_OUT) -> dict[str, Any]:
    """Who alone labelled the held-out rows on which a pass rests: without theirs the difference lies below its bound.

    Such a decision cannot tell, unless the policy allows it. Too few rows without them flip nothing. Of labels that several
    people gave nobody is left out, nor of datasets that do not say who gave them.
    """
    if decision["verdict"] != PASS:
        return {}
    flips = []
    for row in assessment.get("without", ()):
        of = row["window"]["by_origin"] if part == NEWEST else row["by_origin"]
        left = Paired.of(of[origin]) if origin in of else NO_PAIRS
        value = left.difference(policy.confidence)["value"]
        if left.n >= policy.min_held_out and value is not None and value < -policy.max_drop:
            flips.append({"name": row["labeler"], "rows": row["rows"], "n": left.n, "value": value})
    if not flips:
        return {}
    first = min(flips, key=lambda flip: flip["value"])
    who = f"labeler {first['name']}" if first["name"] is not None else "labels that name nobody"
    said = (f"Fragile: this pass rests on {who}: without the {first['rows']} {rows} that they alone labelled, the "
            f"difference is {write_change(first['value'])} points.")
    marked = {"fragile": flips, "sentence": f"{decision['sentence']} {said}"}
    return marked if policy.allow_fragile else marked | {"verdict": UNDECIDED, "promote": False, "reason": FRAGILE}


def choose_rows(policy: GatePolicy, assessment: Mapping[str, Any]) -> tuple[str, str | None, Paired]:
    """The part of the holdout, the origin and the paired counts that decide: the first that are big enough.

    When none is, the largest of those that are trusted; no rows of no origin when nothing trusted is held out.
    """
    newest = (assessment.get("window") or {}).get("by_origin", {})
    parts = [(part, origin, Paired.of(of[origin])) for part, of in ((NEWEST, newest), (WHOLE, _by_origin(assessment)))
             for origin in ORIGINS if origin in policy.trusted_origins and origin in of]
    enough = [row for row in parts if row[2].n >= policy.min_held_out]
    return next(iter(enough), max(parts, key=lambda row: row[2].n, default=(WHOLE, None, NO_PAIRS)))


def tell_too_few_held_out(policy: GatePolicy, sources: Mapping[str, int] | None) -> str | None:
    """Why a dataset that holds out so many rows of each origin can make no promotion; None where it can, or nobody knows.

    Told before training: a candidate that cannot be compared would cost hours and one of the retrainings.
    """
    if sources is None or any(sources.get(o, 0) >= policy.min_held_out for o in policy.trusted_origins):
        return None
    there = ", ".join(f"{n} of {origin}" for origin, n in sorted(sources.items())) or "none"
    return (f"Nothing was trained: expected {policy.min_held_out} held-out pictures of one trusted origin "
            f"({' or '.join(policy.trusted_origins)}) to compare a candidate on (gates.min_held_out), got {there}. Audit more "
            f"of what is predicted, or trust another origin (gates.trusted_origins).")


def count_trusted_classes(policy: GatePolicy, assessment: Mapping[str, Any]) -> dict[str, Paired]:
    """The paired counts of each class over the held-out rows of trusted origins."""
    if "per_class_by_origin" not in assessment:  # of a run that an older release began
        return {row["label"]: Paired.of(row) for row in assessment["per_class"]}
    found: dict[str, Paired] = {}
    for row in assessment["per_class_by_origin"]:
        if row["origin"] in policy.trusted_origins:
            found[row["label"]] = found.get(row["label"], NO_PAIRS) + Paired.of(row)
    return found


def _by_origin(assessment: Mapping[str, Any]) -> Mapping[str, Any]:
    return assessment.get("by_origin", {})


def decide_promotion(policy: GatePolicy, overall: Paired, classes: Mapping[str, Paired], floor: float | None = None,
                     origin: str | None = None, rows: str = HELD_OUT,
                     forgetting: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The decision: `verdict` for the whole, the overall comparison, one row per class, the floor, what was forgotten where that
    is judged, and a sentence."""
    whole, of_classes = judge_overall(policy, overall), judge_classes(policy, classes)
    by = {v: [row["label"] for row in of_classes if row["verdict"] == v] for v in (FAIL, UNDECIDED, NOT_JUDGED)}
    least = judge_floor(policy, overall, floor)
    verdicts = [whole["verdict"], *([FAIL] if by[FAIL] else []), *(row["verdict"] for row in (least, forgetting) if row)]
    verdict = next(v for v in (FAIL, UNDECIDED, PASS) if v in verdicts)
    return {"verdict": verdict, "promote": verdict == PASS, "overall": whole, "classes": of_classes, "failed": by[FAIL],
            "undecided": by[UNDECIDED], "not_judged": by[NOT_JUDGED], "floor": least,
            **({"forgetting": forgetting} if forgetting else {}),
            "sentence": " ".join([_sentence(whole, by, policy, least, origin, rows),
                                  *([say_forgetting(forgetting)] if forgetting else [])])}


def judge_floor(policy: GatePolicy, counts: Paired, floor: float | None) -> dict[str, Any] | None:
    """The candidate's accuracy on the rows that decide against an absolute bound; None without one."""
    if floor is None:
        return None
    row: dict[str, Any] = {"bound": floor, "n": counts.n, **counts.candidate(policy.confidence)}
    if counts.n < policy.min_held_out:
        return row | {"verdict": UNDECIDED, "reason": TOO_FEW}
    return row | {"verdict": judge_interval(row["low"], row["high"], floor)}


def judge_calibration(policy: GatePolicy, assessment: Mapping[str, Any], origin: str | None,
                      max_ece: float | None) -> dict[str, Any] | None:
    """The candidate's calibration error over all held-out rows of the origin that decides, with the margin of its sampling
    noise, against the bound; None without one."""
    if max_ece is None:
        return None
    candidate = (assessment.get("versions") or {}).get("candidate") or {}
    found = (candidate.get("calibration_by_origin") or {}).get(origin) or {"ece": None, "margin": None, "n": 0}
    row: dict[str, Any] = {"bound": max_ece, "n": found["n"]}
    if found["ece"] is None or found["n"] < policy.min_held_out:
        return row | {"value": found["ece"], "low": None, "high": None, "verdict": UNDECIDED, "reason": TOO_FEW}
    figure = error_figure(found["ece"], found["margin"])
    return row | figure | {"verdict": judge_interval(-figure["high"], -figure["low"], -max_ece)}


def add_calibration(decision: dict[str, Any], row: Mapping[str, Any] | None) -> dict[str, Any]:
    """The decision with what `judge_calibration` found in it: fail before cannot tell before pass."""
    if row is None:
        return decision
    verdict = next(v for v in (FAIL, UNDECIDED, PASS) if v in (decision["verdict"], row["verdict"]))
    value = write_figure(row) if row["low"] is not None else f"not known, of {row['n']} {HELD_OUT} of the origin that decides"
    said = f"Its calibration error is {value}, the bound is {write_bound(row['bound'])}: {row['verdict']}."
    return decision | {"verdict": verdict, "promote": verdict == PASS, "calibration": dict(row),
                       "sentence": f"{decision['sentence']} {said}"}


def judge_overall(policy: GatePolicy, counts: Paired) -> dict[str, Any]:
    """Candidate minus live over the rows that decide, its interval and verdict."""
    if not counts.n:
        return {"n": 0, "value": None, "low": None, "high": None, "bound": -policy.max_drop, "p_live_not_worse": None,
                "verdict": UNDECIDED, "reason": TOO_FEW}
    row = _difference(counts, -policy.max_drop, policy.confidence)
    row["p_live_not_worse"] = counts.mcnemar()["live_worse"]
    better = row["p_live_not_worse"] <= tail_of(policy.confidence)
    if counts.n < policy.min_held_out:
        return row | {"verdict": UNDECIDED, "reason": TOO_FEW}
    row["verdict"] = PASS if better or row["low"] >= row["bound"] else FAIL if row["high"] < row["bound"] else UNDECIDED
    return row


def judge_classes(policy: GatePolicy, classes: Mapping[str, Paired]) -> list[dict[str, Any]]:
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


def _sentence(whole: Mapping[str, Any], by: Mapping[str, Sequence[str]], policy: GatePolicy,
              least: Mapping[str, Any] | None, origin: str | None, rows: str) -> str:
    trusted = " or ".join(policy.trusted_origins)
    if not whole["n"]:
        return (f"The dataset holds out no row of a trusted origin ({trusted}), so the candidate cannot be compared. Audit "
                f"more of what is predicted, or trust another origin (gates.trusted_origins).")
    said = (f"On {whole['n']} {rows}{f' of origin {origin}' if origin else ''} the candidate has "
            f"{write_percent(whole['candidate'], 1)}, the live version {write_percent(whole['live'], 1)}: a difference of "
            f"{write_points(whole)}")
    few = f"; expected {policy.min_held_out} of one trusted origin ({trusted})" if whole.get("reason") == TOO_FEW else ""
    worse = f"; worse by more than {write_change(policy.max_class_drop)[1:]} points in {list_some(by[FAIL])}" if by[FAIL] else ""
    undecided = f"; undecided: {list_some(by[UNDECIDED])}" if by[UNDECIDED] else ""
    below = f"; its floor is {write_bound(least['bound'])}: {least['verdict']}" if least else ""
    return f"{said}{few}{worse}{undecided}{below}."
