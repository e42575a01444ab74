"""Names of versions, and what may be asked of a version that a state knows."""

import re

from contract.documents.history import State
from contract.errors import NoSuchVersion, UsageError

ALIAS = re.compile("[a-z][a-z0-9_-]{0,39}")
SHADOW = "shadow"  # the name by which services know what computes beside the live version, and the role of its rows


def check_alias(text: str) -> str:
    """A name for a version: 'shadow', 'before-the-move', …; UsageError for another one, and for `live`, which is promoted."""
    if not ALIAS.fullmatch(text):
        raise UsageError(f"expected a name of a-z, 0-9, - and _ that begins with a letter, such as shadow, got {text!r}.")
    if text == "live":
        raise UsageError("live is no alias: make a version live with `trueup model promote`.")
    return text


def require_weights(model: str, state: State, version: str) -> None:
    """NoSuchVersion when the weights of a version were deleted."""
    if version in state.deleted:
        raise NoSuchVersion(f"{model} version {version}: its weights were deleted, only its card is left. Name another version, "
                            f"or train it again.")


def require_unused(model: str, state: State, version: str) -> None:
    """UsageError for a version that is live, has a name or is a canary: its weights are needed."""
    if state.live == version:
        raise UsageError(f"{model} version {version} is live. Make another version live first: trueup model promote.")
    if names := list_aliases(state, version):
        raise UsageError(f"{model} version {version} is named {', '.join(names)}. Take the name away, or give it to another "
                         f"version, first: trueup model alias {names[0]} --remove.")
    if state.canary is not None and (state.canary.version, state.canary.live) == (version, state.live):
        raise UsageError(f"{model} version {version} is a canary. Withdraw it first: trueup model canary withdraw.")


def list_aliases(state: State, version: str | None) -> list[str]:
    """Lists the names of a version, in their order."""
    return sorted(name for name, named in state.aliases.items() if named == version)
