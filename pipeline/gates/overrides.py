"""A person's word that a gate passes until a moment (`trueup model override`): what it changes, and what it never does."""

from collections.abc import Mapping, Sequence
from typing import Any

from metrics.judging.verdicts import NO_DATA, PASS, STALE

NEVER = (NO_DATA, STALE)  # nobody's word says how a model does of which nothing is known


def apply_override(gate: dict[str, Any], overrides: Sequence[Mapping[str, Any]], as_of: str) -> dict[str, Any]:
    """The gate with the newest override that holds at `as_of`: it passes, and says by whom and what it said itself."""
    holding = [o for o in overrides if o["gate"] == gate["gate"] and o["at"] <= as_of < o["until"]]
    if not holding or gate["verdict"] == PASS or gate.get("reason") in NEVER:
        return gate
    found = holding[-1]
    itself = gate.get("verdict_of_the_gate") or gate["verdict"]
    said = f"Overridden by {found['by']} until {found['until'][:19]}Z ({found['reason']}); of itself it says {itself}."
    return gate | {"verdict": PASS, "verdict_of_the_gate": itself, "override": dict(found),
                   "sentence": f"{gate['sentence']} {said}"}


def tell_overrides(gates: Sequence[Mapping[str, Any]]) -> str:
    """What a sentence over all gates says of those that were overridden; empty when none was."""
    names = [f"{gate['gate'].replace('_', ' ')} by {gate['override']['by']} until {gate['override']['until'][:10]} "
             f"({gate['override']['reason']})" for gate in gates if "override" in gate]
    return f"Overridden: {'; '.join(names)}." if names else ""
