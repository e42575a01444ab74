"""Whether a candidate holds on real traffic: the promotion gate's own test, on the labelled predictions of a shadow.

`gates.shadow_labels` says how many of one trusted origin it takes; with fewer nothing can be told, and the candidate waits.
The counts are those of an evaluation's section `shadow` (contract/evidence/paired_shadow.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.policy import GatePolicy
from contract.texts.figures import write_count
from metrics.judging.promotion import judge_assessment
from metrics.judging.verdicts import TOO_FEW, UNDECIDED

SHADOW_ROWS = "labelled predictions of the shadow"


def judge_shadow(policy: GatePolicy, evaluation: Mapping[str, Any], live: Sequence[str], candidate: str) -> dict[str, Any]:
    """The decision on a candidate from an evaluation: as `judge_assessment`, with `agreement` and the predictions both answered.

    `live`: the live version, then its formats. It is compared with the one of these that answered most predictions beside
    the candidate, which `answered` names.
    """
    asked = policy.shadow_labels or policy.min_held_out  # who asks for none may look all the same
    section = (evaluation.get("evidence") or {}).get("shadow") or {"pairs": []}
    pairs = [p for version in live for p in section["pairs"] if (p["live"], p["shadow"]) == (version, candidate)]
    pair = max(pairs, key=lambda p: p["rows"], default=None)
    answered = pair["live"] if pair else live[0]
    if pair is None or not any(origin in policy.trusted_origins for origin in pair["by_origin"]):
        return {"verdict": UNDECIDED, "promote": False, "reason": TOO_FEW, "candidate": candidate,
                "answered": answered, "rows": pair["rows"] if pair else 0, "agreement": pair["agreement"] if pair else None,
                "sentence": _say_missing(policy, asked, answered, candidate, pair)}
    decision = judge_assessment(policy.model_copy(update={"min_held_out": asked, "max_forgetting": None}), pair, rows=SHADOW_ROWS)
    return decision | {"candidate": candidate, "answered": answered, "rows": pair["rows"], "agreement": pair["agreement"]}


def _say_missing(policy: GatePolicy, asked: int, live: str, candidate: str, pair: Mapping[str, Any] | None) -> str:
    setting = "shadow_labels" if policy.shadow_labels else "min_held_out"
    seen = write_count(pair["rows"] if pair else 0, "prediction")
    return (f"Version {candidate} answered {seen} beside live version {live}, and none of them has a trusted label "
            f"({' or '.join(policy.trusted_origins)}); expected {asked} (gates.{setting}). Let services run "
            f"with the shadow, and audit what is predicted.")
