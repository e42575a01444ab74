"""Starts the commands of a rehearsal as a person would, each as a process, and ends one that would outlive its time."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from command.load_settings import ENV_PREFIX, NOT_SETTINGS
from contract import clock
from contract.errors import ERROR, TrueupError
from contract.sections.modules import LOCAL
from contract.settings import Settings

LOOK_SECONDS = 1.0
END_SECONDS = 300  # after SIGTERM: a cycle ends its cluster


class CommandFailed(TrueupError):
    """A command of the rehearsal ended with an error, or its time was over; the message has its own words."""


class Start(Protocol):
    """Runs `python -m module …` with these settings to its end, at the latest until a moment; returns code and document."""

    def __call__(self, module: str, argv: Sequence[str], settings: Settings, until: datetime) -> tuple[int, dict[str, Any]]: ...


def start_process(module: str, argv: Sequence[str], settings: Settings, until: datetime) -> tuple[int, dict[str, Any]]:
    """Runs the command as a process of its own; what it says on standard error goes through."""
    with tempfile.TemporaryDirectory(prefix="trueup-rehearsal-") as folder:
        config = Path(folder, "trueup.yaml")
        config.write_text(write_config(settings))
        command = [sys.executable, "-m", module, *argv, "--config", str(config), "--json"]
        with open(Path(folder, "answer"), "w+b") as answer:
            process = subprocess.Popen(command, stdout=answer, env=make_environment())
            code = _wait(process, until)
            answer.seek(0)
            return code, read_document(module, code, answer.read())


def write_config(settings: Settings) -> str:
    """Writes the settings as a settings file: JSON is YAML."""
    return json.dumps(settings.model_dump(mode="json", exclude=set(LOCAL)))


def make_environment() -> dict[str, str]:
    """Our environment without settings, which the file has, and with this checkout on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX) or name in NOT_SETTINGS}
    here = str(Path(__file__).resolve().parents[2])
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (here, kept.get("PYTHONPATH"))))}


def _wait(process: "subprocess.Popen[bytes]", until: datetime) -> int:
    """Waits by the wall clock, which goes on while a machine sleeps."""
    try:
        while (code := process.poll()) is None:
            if clock.now() > until:
                process.terminate()
                process.wait(END_SECONDS)
                raise CommandFailed(f"expected the command to end before {clock.iso(until)}, when the rehearsal is taken down; "
                                    f"it was stopped. Give its stages more time by emr.stage_minutes.")
            time.sleep(LOOK_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
    return code


def read_document(module: str, code: int, output: bytes) -> dict[str, Any]:
    """Reads a command's answer. CommandFailed with its own words where there is none, or an error."""
    try:
        document = json.loads(output)
    except ValueError:
        document = None
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(document, dict) and not error and code != ERROR:
        return document
    said = error["message"] if error else f"ended with code {code} and no JSON answer. What it said stands above."
    raise CommandFailed(f"{module}: {said}")
