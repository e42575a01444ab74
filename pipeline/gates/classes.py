"""Gates over many: classes and slice values, one family of one-sided tests with Holm's correction.

However many classes and slices there are, the chance that a healthy model fails any of them stays at the level. Judged
are all trusted rows as counts, each once; where the origin that accuracy rests on was drawn with unequal probabilities,
its rows alone, weighted. Rows called wrong without a class may belong to any class but the predicted one: a class that
holds its bound only while they do not is not told (`unnamed`).
"""

from collections.abc import Mapping
from typing import Any

from contract.policy import GatePolicy
from contract.texts.figures import write_bound, write_figure
from metrics.judging.verdicts import FAIL, NOT_JUDGED, PASS, UNDECIDED, UNNAMED, list_some
from metrics.selection.origin_sums import Sums
from metrics.significance.exact_tests import holm
from metrics.significance.share_of_class import judge_counted, judge_weighted
from pipeline.gates.accuracy import choose_origin
from pipeline.gates.tally import RightCount, Tally

Row = dict[str, Any]
Member = tuple[str, float, list[Row]]


def judge_classes_and_slices(policy: GatePolicy, tally: Tally) -> list[dict[str, Any]]:
    """The gates of classes and slices that the policy has a bound for."""
    slices = {f"{name}={value}": share for (name, value), share in tally.slices.items()}
    wanted = (("class_recall", policy.min_class_recall, tally.recall),
              ("class_precision", policy.min_class_precision, tally.precision),
              ("slices", policy.min_slice_accuracy, slices))
    weighted = _find_weighted(policy, tally)
    return judge_family([(name, bound, _weigh(name, bound, shares, weighted, policy) if weighted is not None else
                    _count(name, bound, shares, tally.unnamed, policy))
                   for name, bound, shares in wanted if bound is not None], policy)


def _find_weighted(policy: GatePolicy, tally: Tally) -> Mapping[str, Mapping[Any, Sums]] | None:
    """The sums by kind and class of the origin that accuracy rests on, where its rows have unequal weights; else None."""
    origin, found = choose_origin(policy, tally, 1 - policy.confidence)
    return tally.of_class.get(origin, {}) if origin and found["weighted"] else None


def _count(name: str, bound: float, shares: Mapping[str, RightCount], unnamed: Mapping[str, int],
           policy: GatePolicy) -> list[Row]:
    """Each class as counted rows."""
    labels, total = sorted(shares), sum(unnamed.values()) if name == "class_recall" else 0
    given = [(shares[x].right, shares[x].n, total - (unnamed.get(x, 0) if total else 0)) for x in labels]
    return [{"verdict": NOT_JUDGED, "label": label, **row, "n_effective": float(row["n"])}
            for label, row in zip(labels, judge_counted(bound, given, policy.confidence), strict=True)]


def _weigh(name: str, bound: float, shares: Mapping[str, RightCount], sums: Mapping[str, Mapping[Any, Sums]],
           policy: GatePolicy) -> list[Row]:
    """Each class as weighted rows of one origin."""
    of_class = {"=".join(key) if isinstance(key, tuple) else key: found for key, found in sums.get(name, {}).items()}
    unnamed = sums.get("unnamed", {}) if name == "class_recall" else {}
    rows = []
    for label in sorted(shares):
        missable = sum((found for predicted, found in unnamed.items() if predicted != label), Sums())
        found = judge_weighted(bound, of_class.get(label, Sums()), missable, policy.confidence)
        rows.append({"verdict": NOT_JUDGED, "label": label, **found})
    return rows


def judge_family(members: list[Member], policy: GatePolicy) -> list[dict[str, Any]]:
    """One gate for each member; a member fails when Holm's test over all of them rejects one of its rows.

    A class that is neither clearly below the bound nor clearly above is listed as undecided, and does not block; one that
    holds it only without the rows called wrong leaves the gate untold.
    """
    judged = [(row, bound) for _, bound, rows in members for row in rows if row["n_effective"] >= policy.min_class_support]
    alpha = 1 - policy.confidence
    for (row, bound), p in zip(judged, holm([row["p"] for row, _ in judged]).tolist(), strict=True):
        row["p_adjusted"] = p
        row["verdict"] = FAIL if p <= alpha else PASS if row["low"] >= bound else UNDECIDED
        if row["verdict"] == UNDECIDED and row["low_named"] >= bound:
            row["reason"] = UNNAMED
    return [_gate(name, bound, rows, policy) for name, bound, rows in members]


def _gate(name: str, bound: float, rows: list[Row], policy: GatePolicy) -> dict[str, Any]:
    judged = [row for row in rows if row["verdict"] != NOT_JUDGED]
    by = {v: [row["label"] for row in judged if row["verdict"] == v] for v in (FAIL, UNDECIDED)}
    unnamed = [row["label"] for row in judged if row.get("reason") == UNNAMED]
    worst = min(judged, key=lambda row: (row["value"], row["label"]), default=None)
    told = {name: worst[name] if worst else None for name in ("right", "n", "value", "low", "high", "p")}
    verdict = NOT_JUDGED if not judged else FAIL if by[FAIL] else UNDECIDED if unnamed else PASS
    return {"gate": name, "bound": bound, "level": 1 - policy.confidence, "worst": worst and worst["label"],
            **(told if worst else told | {"right": 0, "n": 0}), "classes": rows,
            "judged": len(judged), "not_judged": len(rows) - len(judged), "failed": by[FAIL],
            "undecided": by[UNDECIDED], "verdict": verdict, **({"reason": UNNAMED} if verdict == UNDECIDED else {}),
            "sentence": _sentence(name, bound, worst, by, policy) + _say_unnamed(unnamed)}


def _say_unnamed(labels: list[str]) -> str:
    """What rows without a class leave open; empty when they leave nothing."""
    return (f" Not told, because rows that were called wrong without a class may belong to them: {list_some(labels)}. Name "
            f"their classes at /review.") if labels else ""


def _sentence(name: str, bound: float, worst: Mapping[str, Any] | None, by: Mapping[str, list[str]],
              policy: GatePolicy) -> str:
    what, kind = ("accuracy", "slice") if name == "slices" else (name.removeprefix("class_"), "class")
    if worst is None:
        return f"No {kind} has {policy.min_class_support} trusted labels, so none is judged."
    said = f"Worst {what} is {write_figure(worst)} ({worst['label']!r}, {worst['n']:,} rows), the bound is {write_bound(bound)}"
    failed = f"; below it: {list_some(by[FAIL])}" if by[FAIL] else f"; no {kind} is below it"
    return said + failed + (f"; undecided: {list_some(by[UNDECIDED])}." if by[UNDECIDED] else ".")
