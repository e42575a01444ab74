"""What is accepted unseen, as the overview says it: by the thresholds in force, and the newest evaluation that knows them."""

from __future__ import annotations

from typing import Any

from contract.accepting.thresholds import read_state
from contract.deciding.formats import choose_answering, list_answering
from contract.documents.evaluation_summary import Summary
from contract.documents.history import State
from contract.evidence.automatic import Automatic, choose_accepted


def describe_automatic(state: State | None, newest: Summary | None) -> dict[str, Any] | None:
    """Describes the share that is automatic and what targets would make so; None where nothing was ever asked.

    `stale`: the thresholds are of another version than the live one and its formats. `figures` None: no evaluation tells yet
    what the thresholds of now accept.
    """
    held = read_state(state) if state else None
    answering = list_answering(state)
    section = (newest.get("evidence") or {}).get("automatic") if newest else None
    live = choose_answering(state, newest) if newest else None
    told = section["versions"].get(live) if section and live else None
    if held is None and told is None:
        return None
    same = held is not None and section is not None and _is_of(section, held.version, held.evaluation)
    figures = choose_accepted(told) if told and told["hold"] and same else None
    return {"version": held and held.version, "stale": held is not None and held.version not in answering, "figures": figures,
            "flatters": bool(figures and told and figures is told["all"]), "targets": told["targets"] if told else []}


def _is_of(section: Automatic, version: str, evaluation: str) -> bool:
    chosen = section["chosen_by"]
    return chosen is not None and (chosen["version"], chosen["evaluation"]) == (version, evaluation)
