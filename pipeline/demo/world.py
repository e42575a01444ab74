"""The demo's state: its folder, its clock, which steps are done, and how it starts commands.

Everything lies under the root, in `_demo/` (names with an underscore are no data to any reader).
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from command.child import make_environment
from contract import clock
from contract.errors import UsageError
from contract.storage import local_path
from pipeline.running.local import read_answer
from pipeline.running.stages import Stage

MODEL = "digits"
# Days before the real today, and what happens on them.
DAYS = {"clean": 6, "drifted": 4, "late": 3, "recovered": 1}
OPENS = 10  # hour (UTC) at which a demo day begins, so that no day runs past its midnight


@dataclass
class World:
    """One demo: its root folder, seed and size, and the facts that its steps leave for later ones."""

    root: Path
    seed: int
    size: float
    facts: dict[str, Any] = field(default_factory=dict)
    url: str = ""  # of the running service

    @property
    def work(self) -> Path:
        """Returns the demo's own folder: state, clock, pictures, outbox, the service's log."""
        return self.root / "_demo"

    def save(self) -> None:
        """Writes seed, size and facts to the state file, atomically."""
        self.work.mkdir(parents=True, exist_ok=True)
        aside = self.work / "state.json.new"
        aside.write_text(json.dumps({"seed": self.seed, "size": self.size, "facts": self.facts}))
        os.replace(aside, self.work / "state.json")

    def is_done(self, step: str) -> bool:
        """Tells whether a step was finished by this or an earlier start."""
        return step in self.facts.get("done", {})

    def day(self, name: str) -> str:
        """Returns the UTC day, `YYYY-MM-DD`, of one of DAYS."""
        today = datetime.fromisoformat(self.facts["today"])
        return (today - timedelta(days=DAYS[name])).date().isoformat()

    def moment(self, name: str) -> datetime:
        """Returns the moment at which one of DAYS begins."""
        return datetime.fromisoformat(self.day(name)).replace(tzinfo=UTC) + timedelta(hours=OPENS)

    def go_to(self, name: str) -> None:
        """Sets the clock of the service and of all commands to the beginning of one of DAYS; `now`: back to the present."""
        offset = self.facts["offset"] if name == "now" else (self.moment(name) - _machine_now()).total_seconds()
        aside = self.work / "clock.new"
        aside.write_text(str(offset))
        os.replace(aside, self.work / "clock")

    def now(self) -> datetime:
        """Returns the moment by the clock of the service and of all commands."""
        return _machine_now() + timedelta(seconds=float((self.work / "clock").read_text()))

    def run(self, module: str, *arguments: str, answers: tuple[int, ...] = (0,)) -> tuple[int, dict[str, Any]]:
        """Runs `python -m module … --root … --json` at the demo's clock; returns its exit code and document.

        Raises StageFailed with the command's own error and exit code.
        """
        command = [sys.executable, "-m", module, *arguments, "--root", str(self.root), "--json"]
        env = make_environment() | {clock.CLOCK_FILE: str(self.work / "clock")}
        done = subprocess.run(command, stdout=subprocess.PIPE, env=env, text=True, check=False)
        reply = read_answer(Stage(module.rpartition(".")[2], module, (), answers), done.returncode, done.stdout)
        return reply.code, reply.document


def open_world(root: str, seed: int, size: float, fresh: bool) -> World:
    """Opens the demo under a root: a new one, or the one that was begun there with the same seed and size."""
    if root.startswith("s3"):
        raise UsageError(f"root {root!r}: the demo shifts its clock, so it runs on a folder only. Name a folder.")
    folder = local_path(root)
    state = folder / "_demo" / "state.json"
    if fresh and state.exists():
        shutil.rmtree(folder)
    elif folder.exists() and any(folder.iterdir()) and not (folder / "_demo").exists():
        raise UsageError(f"{folder} is not empty and holds no demo. Name another folder with --root.")
    if state.exists():
        saved = json.loads(state.read_text())
        if (saved["seed"], saved["size"]) != (seed, size):
            raise UsageError(f"{folder} holds a demo with seed {saved['seed']} and size {saved['size']}, asked was "
                             f"{seed} and {size}. Start over with --fresh.")
        return World(folder, seed, size, saved["facts"])
    return _begin_world(World(folder, seed, size))


def _begin_world(world: World) -> World:
    # The demo's present may itself be shifted (a test starts at 23:59:50); its days are counted back from there.
    world.facts |= {"today": clock.now().isoformat(), "offset": clock.offset(), "done": {}}
    world.save()
    world.go_to("clean")
    return world


def say(text: str) -> None:
    """Prints a line for the person who watches; standard output belongs to the answer."""
    print(text, file=sys.stderr, flush=True)


def _machine_now() -> datetime:
    return clock.now() - timedelta(seconds=clock.offset())
