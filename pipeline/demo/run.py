"""`trueup demo --root DIR`: the whole loop on scikit-learn's handwritten digits, in about a minute and a half.

A first version is trained and served, traffic drifts, people label, the gate fails, two ranks fine-tune, version 2 goes
live under traffic, and the figures recover. Started again it continues; `--fresh` starts over.
"""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.process import end_with
from contract.settings import Settings
from contract.texts.figures import write_figure, write_percent
from pipeline.demo import story, times
from pipeline.demo.accepting import write_automatic
from pipeline.demo.world import World, open_world, say

DEFAULT_ROOT = "demo-root"


@stage_command("demo")
@click.option("--seed", type=int, default=1, show_default=True, help="Cuts the digits, drifts the camera, makes errors.")
@click.option("--size", type=click.FloatRange(0.5, 1.0), default=1.0, show_default=True, help="Share of the pictures.")
@click.option("--fresh", is_flag=True, help="Start over instead of continuing.")
def command(settings: Settings, seed: int, size: float, fresh: bool) -> Outcome:
    """The whole loop on real data, on this machine: train, serve, drift, label, evaluate, retrain, recover."""
    # Stopped politely, the demo stops its service and its commands too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    world = open_world(settings.root or DEFAULT_ROOT, seed, size, fresh)
    budget = sum(step.budget for step in story.STEPS)
    say(f"Trueup demo in {world.root} (seed {seed}). Budget: {budget} s on 2 cores, and the start of the service.")
    times.begin(world)
    story.play(world, announce_step, report_step)
    return Outcome(document=summarise(world), text=write_closing(world))


def announce_step(step: story.Step) -> None:
    """Says what the step does, before it."""
    number = story.STEPS.index(step) + 1
    say(f"[{number}/{len(story.STEPS)}] {step.name}: {step.says}")


def report_step(step: story.Step, took: float) -> None:
    """Says what the step took and what it may take, after it."""
    say(f"    {took:.1f} s (budget {step.budget} s)")


def summarise(world: World) -> dict[str, Any]:
    """Returns the demo's outcome for programs: rows of the closing table, swap, seconds per step."""
    facts = world.facts
    return {"root": str(world.root), "seed": world.seed, "table": make_rows(world), "swap": facts["swap"],
            "cycle": facts["cycle"], "second_cycle": facts["second_cycle"], "report": facts["report"],
            "automatic": facts.get("automatic"),
            "seconds": facts["done"], "spent": facts.get("spent", {}),
            "days": {n: world.day(n) for n in ("clean", "drifted", "late", "recovered")}}


def make_rows(world: World) -> list[dict[str, Any]]:
    """Makes one row per kind of traffic: what was estimated from labels, and the truth that only the demo knows."""
    table = []
    for name, traffic in (("clean", "clean"), ("drifted", "drifted"), ("recovered", "drifted, fresh")):
        version = world.facts["second" if name == "recovered" else "first"]
        figures = world.facts[f"evaluated_{name}"]["versions"][version]
        sent = world.facts[f"sent_{name}"]
        table.append({"version": version, "traffic": traffic, "day": world.day(name), "estimate": figures["estimate"],
                      "labelled": figures["labelled"], "predictions": figures["predictions"],
                      "truth": sent["right"] / sent["n"]})
    return table


def judge_row(world: World, row: dict[str, Any]) -> str:
    """Says in a word whether this row holds the policy's bound."""
    bound = Settings().gates.min_accuracy
    estimate = row["estimate"]
    return "holds" if estimate["low"] >= bound else "fails" if estimate["high"] < bound else "cannot tell"


def write_closing(world: World) -> str:
    """Writes the short table at the end, and what to do next."""
    lines = ["", f"{'version':<9}{'traffic':<16}{'accuracy (95%)':<24}{'labels':>7}  {'truth':<8}verdict"]
    for row in make_rows(world):
        e = row["estimate"]
        lines.append(f"{row['version']:<9}{row['traffic']:<16}{write_figure(e):<24}{row['labelled']:>7,}  "
                     f"{write_percent(row['truth'], 1):<8}"
                     f"{judge_row(world, row)}")
    swap = world.facts["swap"]
    lines += ["", f"While version {world.facts['second']} went live, {swap['n']} requests were answered, none failed.",
              *([write_automatic(automatic)] if (automatic := world.facts.get("automatic")) else []),
              "", times.write_times(world), "",
              f"Took {sum(times.list_seconds(world).values()):.0f} s.",
              f"Report: {world.facts['report']}",
              "Next:   open the pages, with real items waiting for review:",
              f"        .venv/bin/trueup serve --root {shorten_path(world.root)} --model digits --no-auth",
              "        and look at http://127.0.0.1:8080/review"]
    return "\n".join(lines)


def shorten_path(folder: Path) -> Path:
    """Writes the folder as one would type it from here."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `trueup demo` and returns its exit code."""
    return run(command, argv, prog_name="trueup demo")


if __name__ == "__main__":
    end_with(main)
