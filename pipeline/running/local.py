"""Starts stages on this machine: each as a process of its own, or in this process (tests, debuggers)."""

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from command.child import is_setting, make_environment, write_settings
from contract.errors import TrueupError
from pipeline.running.stages import Stage


class StageFailed(TrueupError):
    """A stage ended with an error of its own; its exit code and message are passed on."""

    def __init__(self, message: str, exit_code: int, kind: str = "") -> None:
        super().__init__(message)
        self.exit_code, self.kind = exit_code, kind  # kind: the name of the stage's error class


class StageKilled(TrueupError):
    """A stage ended without an answer: killed, or crashed. The run stays open, so starting again continues it."""


@dataclass(frozen=True)
class Answer:
    """How a stage ended: one of its answering exit codes, and its JSON document."""

    code: int
    document: dict[str, Any]


class Runner(Protocol):
    """Where stages run."""

    def begin(self, run: str) -> None:
        """Told once which run (its key) the stages belong to."""

    def run(self, stage: Stage, argv: Sequence[str], settings: Mapping[str, Any]) -> Answer:
        """Runs a stage to its end. Raises StageFailed or StageKilled."""


class ProcessRunner:
    """`python -m module …`; what the stage says on stderr goes through, its stdout is the answer."""

    def begin(self, run: str) -> None:
        """Processes here need no name."""

    def run(self, stage: Stage, argv: Sequence[str], settings: Mapping[str, Any]) -> Answer:
        with write_settings(settings) as path:
            command = [sys.executable, "-m", stage.module, *argv, "--config", path, "--json"]
            done = subprocess.run(command, stdout=subprocess.PIPE, env=make_environment(), text=True, check=False)
        return read_answer(stage, done.returncode, done.stdout)


class InProcessRunner:
    """`module.main(argv)` in this process, with its stdout as the answer."""

    def begin(self, run: str) -> None:
        """As above."""

    def run(self, stage: Stage, argv: Sequence[str], settings: Mapping[str, Any]) -> Answer:
        output = io.StringIO()
        with write_settings(settings) as path, _hide_settings(), contextlib.redirect_stdout(output):
            code = importlib.import_module(stage.module).main([*argv, "--config", path, "--json"])
        return read_answer(stage, code, output.getvalue())


@contextlib.contextmanager
def _hide_settings() -> Iterator[None]:
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if is_setting(name)}
    try:
        yield
    finally:
        os.environ.update(hidden)


def read_answer(stage: Stage, code: int, output: str) -> Answer:
    """Reads the stage's answer from its exit code and standard output."""
    try:
        document = json.loads(output)
    except ValueError:
        document = None
    if code in stage.answers and isinstance(document, dict):
        return Answer(code, document)
    error = document.get("error") if isinstance(document, dict) else None
    if error:
        raise StageFailed(f"{stage.name} ({stage.module}): {error.get('message')}", code or 1, error.get("code", ""))
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code} and no JSON answer"
    raise StageKilled(f"{stage.name} ({stage.module}) {how}. What it said stands above. Start `trueup cycle` again: it "
                      f"continues with this stage.")
