"""A version is asked before it is made live by a person: in a service process of its own, as a candidate of the cycle is."""

import sys
from collections.abc import Sequence

from contract.errors import NoSuchVersion, TrialFailed
from contract.registry import Registry
from contract.settings import Settings
from pipeline.running import stages
from pipeline.running.local import ProcessRunner, StageFailed, StageKilled

# Errors of a trial that say nothing of the version.
NOT_THE_VERSION = {"RootError", "Interrupted"}


def require_answer(settings: Settings, registry: Registry, version: str, expected_live: str | None) -> None:
    """Raises TrialFailed when the version does not answer; PointerMoved and NoSuchVersion as its promotion would."""
    registry.card(version)
    newest = registry.newest()
    if (newest.state.live if newest else None) != expected_live or (newest and version in newest.state.deleted):
        return  # the promotion says it better
    if (reason := find_silence(settings, registry, version)) is not None:
        raise TrialFailed(f"{registry.model} version {version} is not made live: it was asked in a service process of its "
                            f"own and did not answer. {reason} Publish or train another one.")


def choose(settings: Settings, registry: Registry, versions: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Chooses the first version that answers; returns it, and why each before it does not. TrialFailed: none does.

    NoSuchVersion: there is only one, and it does not exist or was deleted.
    """
    newest = registry.newest()
    deleted = newest.state.deleted if newest else []
    if len(versions) == 1:
        registry.card(versions[0])
        if versions[0] in deleted:
            raise NoSuchVersion(f"{registry.model} version {versions[0]}: its weights were deleted, only its card is left. Name "
                                f"another version, or train it again.")
    silent: dict[str, str] = {}
    for version in versions:
        reason = "Its weights were deleted." if version in deleted else find_silence(settings, registry, version)
        if reason is None:
            return version, silent
        silent[version] = reason
        print(f"version {version} does not answer: {reason}", file=sys.stderr, flush=True)
    said = " ".join(f"Version {version}: {reason}" for version, reason in silent.items())
    raise TrialFailed(f"model {registry.model!r}: no version to go back to answers, so version {registry.live()} stays live. "
                        f"{said} Name another one (trueup rollback --to VERSION), or publish one.")


def find_silence(settings: Settings, registry: Registry, version: str) -> str | None:
    """Asks a version; returns why it does not answer, None when it does. StageFailed: the root cannot be read."""
    argv = ["--root", registry.storage.root, *stages.TRIAL.fill_arguments({"model": registry.model, "version": version})]
    try:
        ProcessRunner().run(stages.TRIAL, argv, settings.model_dump(mode="json", exclude={"root", "model"}))
    except StageFailed as error:
        if error.kind in NOT_THE_VERSION:
            raise
        return str(error)
    except StageKilled:
        return "The process that asked it ended without a word of its own; what was said stands above."
    return None
