"""Starts the commands of a rehearsal as a person would, each as a process, and ends one that would outlive its time."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from command.child import make_environment, write_settings
from contract import clock
from contract.errors import ERROR, TrueupError
from contract.settings import Settings

LOOK_SECONDS = 1.0
END_SECONDS = 300  # after SIGTERM: a cycle ends its cluster


class CommandFailed(TrueupError):
    """A command of the rehearsal ended with an error, or its time was over; the message has its own words."""


class Start(Protocol):
    """Runs `python -m module …` with these settings to its end, at the latest until a moment; returns code and document.

    `argv` names root and model.
    """

    def __call__(self, module: str, argv: Sequence[str], settings: Settings, until: datetime) -> tuple[int, dict[str, Any]]: ...


def start_process(module: str, argv: Sequence[str], settings: Settings, until: datetime) -> tuple[int, dict[str, Any]]:
    """Runs the command as a process of its own; what it says on standard error goes through."""
    with write_settings(settings.dump_for_stages()) as path, tempfile.TemporaryFile() as answer:
        process = subprocess.Popen([sys.executable, "-m", module, *argv, "--config", path, "--json"], stdout=answer,
                                   env=make_environment())
        code = _wait(process, until)
        answer.seek(0)
        return code, read_document(module, code, answer.read())


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
