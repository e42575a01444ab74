"""A version is asked before it is made live by a person: in a service process of its own, as a candidate of the cycle is."""

import sys

from contract.deciding.asking import Ask, say_nothing
from contract.registry import Registry
from contract.settings import Settings
from pipeline.running import stages
from pipeline.running.local import ProcessRunner, StageFailed, StageKilled

# Errors of a trial that say nothing of the version.
NOT_THE_VERSION = {"RootError", "Interrupted"}


def make_ask(settings: Settings, registry: Registry, untried: bool, aloud: bool = False) -> Ask:
    """Makes what asks a version (`untried`: nobody is asked). `aloud`: says on standard error which one is silent, at once."""

    def ask(version: str) -> str | None:
        reason = find_silence(settings, registry, version)
        if reason is not None and aloud:
            print(f"version {version} does not answer: {reason}", file=sys.stderr, flush=True)
        return reason

    return say_nothing if untried else ask


def find_silence(settings: Settings, registry: Registry, version: str) -> str | None:
    """Asks a version; returns why it does not answer, None when it does. StageFailed: the root cannot be read."""
    argv = ["--root", registry.storage.root, *stages.TRIAL.fill_arguments({"model": registry.model, "version": version})]
    try:
        ProcessRunner().run(stages.TRIAL, argv, settings.dump_for_stages())
    except StageFailed as error:
        if error.kind in NOT_THE_VERSION:
            raise
        return str(error)
    except StageKilled:
        return "The process that asked it ended without a word of its own; what was said stands above."
    return None
