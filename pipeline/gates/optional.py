"""The gates that a policy may add: drops, calibration, drift, cost, coverage, audit labels.

All but the last two, which count labels, compare an interval with their bound. Their intervals are at the policy's confidence for
one look; only the accuracy gate states its error per year, and only it starts a retraining.
"""

from collections.abc import Mapping
from typing import Any

from contract.policy import GatePolicy
from contract.texts.figures import write_bound, write_change, write_percent, write_points
from contract.texts.gates import write_gate
from metrics.calibration import error_figure
from metrics.drift import divergence_figure
from metrics.figure import independent_difference, ratio
from metrics.judging.verdicts import FAIL, NO_BASELINE, PASS, TOO_FEW, UNDECIDED, UNEVEN, judge_interval, make_undecided
from metrics.significance.paired import Paired
from metrics.significance.share_of_origin import is_uneven
from pipeline.gates.accuracy import choose_origin, need_labels
from pipeline.gates.tally import RightCount, Tally

WORDS = {PASS: "it holds the bound", FAIL: "it is beyond the bound", UNDECIDED: "more labels would decide"}


def judge_optional(policy: GatePolicy, tally: Tally) -> list[dict[str, Any]]:
    """The added gates that the policy has a bound for, in one order."""
    made = (judge_baseline(policy, tally), judge_trivial(policy, tally), judge_calibration(policy, tally),
            judge_drift(policy, tally), judge_cost(policy, tally), judge_coverage(policy, tally), judge_audit(policy, tally))
    return [gate for gate in made if gate is not None]


def judge_baseline(policy: GatePolicy, tally: Tally) -> dict[str, Any] | None:
    """Accuracy minus the baseline's: two independent samples (Newcombe)."""
    if policy.max_drop_from_baseline is None:
        return None
    ours, theirs, bound = tally.of(policy.trusted_origins), tally.baseline or RightCount(), -policy.max_drop_from_baseline
    row = {"gate": "drop_from_baseline", "bound": bound, "n": ours.n, "baseline": policy.baseline,
           "baseline_right": theirs.right, "baseline_n": theirs.n}
    if not theirs.n:
        return row | make_undecided(NO_BASELINE, f"Baseline {policy.baseline or 'none is named'}: it has no trusted label in the "
                                                 f"evaluated days. Name another (gates.baseline) or evaluate a longer window "
                                                 f"(--from).")
    if not ours.n:
        return row | make_undecided(TOO_FEW, "It has no trusted label to compare with the baseline.")
    difference = independent_difference((ours.right, ours.n), (theirs.right, theirs.n), policy.confidence)
    return _judge(row, difference, "Accuracy minus the baseline's")


def judge_trivial(policy: GatePolicy, tally: Tally) -> dict[str, Any] | None:
    """Accuracy minus that of always answering the most frequent label, on the same rows (paired)."""
    if policy.max_drop_from_trivial is None:
        return None
    whole, bound = sum(tally.recall.values(), RightCount()), -policy.max_drop_from_trivial
    row = {"gate": "drop_from_trivial", "bound": bound, "n": whole.n}
    if not whole.n:
        return row | make_undecided(TOO_FEW, "It has no trusted label, so the most frequent one is not known.")
    label = min(tally.recall, key=lambda name: (-tally.recall[name].n, name))
    top = tally.recall[label]
    pairs = Paired(both=top.right, only_live=top.n - top.right, only_candidate=whole.right - top.right,
                   neither=whole.n - whole.right - top.n + top.right)  # "live" is the trivial model here
    row |= {"trivial_label": label, "only_model": pairs.only_candidate, "only_trivial": pairs.only_live}
    return _judge(row, pairs.difference(policy.confidence), f"Accuracy minus that of always answering {label!r}")


def judge_calibration(policy: GatePolicy, tally: Tally) -> dict[str, Any] | None:
    """The expected calibration error with the margin of its sampling noise."""
    if policy.max_calibration_error is None:
        return None
    found, row = tally.calibration, {"gate": "calibration", "bound": policy.max_calibration_error}
    if found.get("ece") is None:
        return row | {"n": 0} | make_undecided(TOO_FEW, f"Calibration is not known: {found.get('reason', 'no labels')}.")
    return _judge_at_most(row | {"n": found["n"]}, error_figure(found["ece"], found["margin"]), "The calibration error")


def judge_drift(policy: GatePolicy, tally: Tally) -> dict[str, Any] | None:
    """The divergence of predicted classes, with what chance may have moved it by."""
    if policy.max_drift is None:
        return None
    found, row = tally.drift, {"gate": "drift", "bound": policy.max_drift}
    if found.get("js") is None:
        return row | make_undecided(NO_BASELINE, f"Drift is not known: {found.get('reason', 'no predictions')}.")
    return _judge_at_most(row, divergence_figure(found["js"], found["js_95"]),
                          f"The drift of predicted classes on {found.get('day', 'the newest day')}")


def judge_cost(policy: GatePolicy, tally: Tally) -> dict[str, Any] | None:
    """What mistakes cost per 1,000 predictions, over the rows that the accuracy gate judges."""
    if policy.max_cost_per_1000 is None:
        return None
    origin, found = choose_origin(policy, tally, 1 - policy.confidence)
    n, least = found["n"], need_labels(policy)
    row = {"gate": "cost", "bound": policy.max_cost_per_1000, "n": n, "origin": origin}
    if origin is None or n < least:
        return row | make_undecided(TOO_FEW, f"Expected {least} labels or more of one trusted origin to say what its mistakes "
                                             f"cost; there are {n}.")
    if is_uneven(found):
        return row | make_undecided(UNEVEN, "Its labels were drawn with too unequal probabilities to say what its mistakes cost.")
    return _judge_at_most(row, tally.costs[origin], f"What its mistakes cost, over {n:,} trusted labels ({origin}),")


def judge_coverage(policy: GatePolicy, tally: Tally) -> dict[str, Any] | None:
    """The share of predictions with a trusted label: below the bound nothing can be told, which is no failure."""
    if policy.min_coverage is None:
        return None
    n, total = tally.of(policy.trusted_origins).n, tally.predictions
    share = ratio(n, total)
    row = {"gate": "coverage", "bound": policy.min_coverage, "n": n, "predictions": total, "value": share, "low": share,
           "high": share}
    said = (f"{n:,} of {total:,} predictions have a trusted label ({write_percent(share, 1)}), the bound is "
            f"{write_bound(policy.min_coverage)}.")
    enough = total > 0 and share >= policy.min_coverage
    return row | ({"verdict": PASS, "sentence": said} if enough else make_undecided(TOO_FEW, said))


def judge_audit(policy: GatePolicy, tally: Tally) -> dict[str, Any] | None:
    """Labels of the blind random audit: below the bound nothing can be told."""
    if policy.min_audit_labels is None:
        return None
    n = tally.of(["audit"]).n
    row = {"gate": "audit_labels", "bound": policy.min_audit_labels, "n": n}
    said = f"{n} predictions have an audit label, the bound is {policy.min_audit_labels}."
    return row | ({"verdict": PASS, "sentence": said} if n >= policy.min_audit_labels else make_undecided(TOO_FEW, said))


def _judge(row: dict[str, Any], figure: Mapping[str, Any], what: str) -> dict[str, Any]:
    verdict = judge_interval(figure["low"], figure["high"], row["bound"])
    reason = {"reason": TOO_FEW} if verdict == UNDECIDED else {}
    sentence = f"{what} is {write_points(figure)}, the bound is {write_change(row['bound'])}: {WORDS[verdict]}."
    return row | {**figure, "verdict": verdict, **reason, "sentence": sentence}


def _judge_at_most(row: dict[str, Any], figure: Mapping[str, Any], what: str) -> dict[str, Any]:
    verdict = judge_interval(-figure["high"], -figure["low"], -row["bound"])
    reason = {"reason": TOO_FEW} if verdict == UNDECIDED else {}
    value, between, bound = write_gate(row | dict(figure))
    sentence = f"{what} is {value} ({between}), the bound is {bound}: {WORDS[verdict]}."
    return row | {**figure, "verdict": verdict, **reason, "sentence": sentence}
