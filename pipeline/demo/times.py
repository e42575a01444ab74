"""Where the demo's time goes: each step's seconds, divided by what was going on in any of its processes."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from command import spans
from command.spans import JAVA, KINDS, START, TRAFFIC, TRAINING, WAITING, WORK
from command.terminal import align
from contract.texts.figures import write_number
from pipeline.demo.world import World

TITLES = {TRAINING: "training", JAVA: "Java starts", START: "process starts, imports", TRAFFIC: "traffic", WAITING: "waiting",
          WORK: "the rest"}
SERVICE = "the service's start and end"


def begin(world: World) -> None:
    """Lets all processes of the demo, this one too, note their times from now on."""
    file = world.work / "spans.jsonl"
    file.unlink(missing_ok=True)
    os.environ[spans.SPANS_FILE] = str(file)


@contextmanager
def measure(world: World, name: str) -> Iterator[None]:
    """Adds what the body's seconds were spent on to the facts, under this name, when it ends well."""
    began = time.monotonic()
    yield
    noted = spans.read(world.work / "spans.jsonl")
    spent = world.facts.setdefault("spent", {}).setdefault(name, dict.fromkeys((*KINDS, WORK), 0.0))
    for kind, seconds in spans.attribute(noted, began, time.monotonic()).items():
        spent[kind] = round(spent[kind] + seconds, 3)


def list_seconds(world: World) -> dict[str, float]:
    """Returns the seconds of each step that was measured, and of the service's start and end."""
    return {name: sum(row.values()) for name, row in world.facts.get("spent", {}).items()}


def write_times(world: World) -> str:
    """Writes the table: a step in a line, and the sum; a moment at which several things went on counts for the first column."""
    spent = world.facts.get("spent", {})
    total = {kind: sum(row[kind] for row in spent.values()) for kind in TITLES}
    rows = [[name, *_write_row(row)] for name, row in (*spent.items(), ("all", total))]
    return align(["where the time went", "seconds", *TITLES.values()], rows)


def _write_row(seconds: dict[str, float]) -> list[str]:
    return [write_number(value, 1) if value >= 0.05 else "" for value in (sum(seconds.values()), *(seconds[k] for k in TITLES))]
