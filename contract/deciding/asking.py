"""A version is asked before a person makes it live; how, is the caller's (a service process of its own, or not at all)."""

from collections.abc import Callable, Sequence

from contract.deciding.names import require_weights
from contract.documents.history import State
from contract.errors import TrialFailed
from contract.registry import Registry

Ask = Callable[[str], str | None]  # a version -> why it does not answer, None when it does


def say_nothing(_: str) -> None:
    """Asks nobody: for what people know to work, or for a machine that cannot run its network."""


def require_answer(registry: Registry, version: str, expected_live: str | None, ask: Ask) -> None:
    """Raises TrialFailed when the version does not answer; PointerMoved and NoSuchVersion as its promotion would."""
    registry.card(version)
    newest = registry.newest()
    if (newest.state.live if newest else None) != expected_live or (newest and version in newest.state.deleted):
        return  # the promotion says it better
    if (reason := ask(version)) is not None:
        raise TrialFailed(f"{registry.model} version {version} is not made live: it was asked in a service process of its "
                          f"own and did not answer. {reason} Publish or train another one.")


def choose(registry: Registry, versions: Sequence[str], ask: Ask) -> tuple[str, dict[str, str]]:
    """Chooses the first version that answers; returns it, and why each before it does not. TrialFailed: none does.

    NoSuchVersion: there is only one, and it does not exist or was deleted.
    """
    newest = registry.newest()
    state = newest.state if newest else State()
    if len(versions) == 1:
        registry.card(versions[0])
        require_weights(registry.model, state, versions[0])
    silent: dict[str, str] = {}
    for version in versions:
        reason = "Its weights were deleted." if version in state.deleted else ask(version)
        if reason is None:
            return version, silent
        silent[version] = reason
    said = " ".join(f"Version {version}: {reason}" for version, reason in silent.items())
    raise TrialFailed(f"model {registry.model!r}: no version to go back to answers, so version {registry.live()} stays live. "
                        f"{said} Name another one (trueup rollback --to VERSION), or publish one.")
