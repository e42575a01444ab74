"""The formats of a live version: versions of its weights that are computed otherwise and held (`trueup model convert`).

A history record names each, with the sha256 of its card, so that no service answers with what nobody let in.
"""

from contract.documents.history import State


def list_formats(state: State) -> list[str]:
    """Lists the other versions of the live version's weights that answer as well as it, by the history, in order of number."""
    if state.live is None:
        return []
    base = state.formats.get(state.live, state.live)
    of_base = [version for version, parent in state.formats.items() if parent == base]
    vouched = {version for version in {base, *of_base} - {state.live} if version in state.cards}
    return sorted(vouched - {*state.deleted}, key=int)
