"""Before a page makes a version live, it is asked in a process of its own: there it may end, hang or fill the memory."""

from __future__ import annotations

import json
import subprocess
import sys

from command.child import make_environment, write_settings
from contract.errors import RootError
from contract.registry import Registry
from contract.settings import Settings

TRIAL = "training.trial"  # what `trueup model promote` runs, too
NOT_THE_VERSION = ("RootError", "Interrupted")  # errors of a trial that say nothing of the version


def find_silence(settings: Settings, registry: Registry, version: str) -> str | None:
    """Asks a version; returns why it does not answer, None when it does. RootError: the root cannot be read."""
    with write_settings(settings.dump_for_stages()) as config:
        done = subprocess.run([sys.executable, "-m", TRIAL, "--root", registry.storage.root, "--model", registry.model,
                               "--version", version, "--config", config, "--json"],
                              stdout=subprocess.PIPE, env=make_environment(), text=True, check=False)
    if done.returncode == 0:
        return None
    try:
        error = json.loads(done.stdout)["error"]
    except (ValueError, KeyError, TypeError):
        return f"The process that asked it ended with {done.returncode} and without a word; the service's log has what it said."
    if error["code"] in NOT_THE_VERSION:
        raise RootError(error["message"])
    return str(error["message"])
