"""The formats of a live version: its weights in another runtime or number format, answering as well (`trueup model convert`).

A history record names each, with the sha256 of its card, so that no service answers with what nobody let in.
"""

from collections.abc import Mapping
from typing import Any

from contract.documents.history import State


def list_formats(state: State) -> list[str]:
    """Lists the other versions of the live version's weights that answer as well as it, by the history, in order of number."""
    if state.live is None:
        return []
    base = state.formats.get(state.live, state.live)
    of_base = [version for version, parent in state.formats.items() if parent == base]
    vouched = {version for version in {base, *of_base} - {state.live} if version in state.cards}
    return sorted(vouched - {*state.deleted}, key=int)


def list_answering(state: State | None) -> list[str]:
    """Lists the versions by which services may answer: the live one first, then its formats. Empty: none is live."""
    return [] if state is None or state.live is None else [state.live, *list_formats(state)]


def choose_answering(state: State | None, evaluation: Mapping[str, Any]) -> str | None:
    """Chooses of the versions by which services may answer the one that answered most of an evaluation; of equals the live
    one. None: none is live."""
    return max(list_answering(state), key=lambda version: count_answers(evaluation, version), default=None)


def count_answers(evaluation: Mapping[str, Any], version: str) -> int:
    """Counts the predictions of a version that an evaluation is about."""
    figures: Mapping[str, Any] = evaluation["versions"].get(version, {})
    return int(figures.get("predictions", 0))
