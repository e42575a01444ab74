"""Says how fast versions answer on this machine, against their own network in float32; `trueup doctor` asks.

    python -m training.speed --root R --model M [--version V …] [--json]
"""

from collections.abc import Sequence
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract.registry import Registry, check_version
from contract.settings import Settings
from contract.storage import open_root


@stage_command("speed", help="Time versions on this machine.")
@click.option("--model", help="Name of the model.")
@click.option("--version", "versions", multiple=True, help="A version; may be given again. [default: the live one]")
def command(settings: Settings, model: str | None, versions: tuple[str, ...]) -> Outcome:
    """Times each, one after the other."""
    settings = with_options(settings, model=model)
    registry = Registry(open_root(settings.need_root()), settings.need_model())
    rows = [measure(registry, check_version(version), settings) for version in versions or (registry.live(),)]
    return Outcome(document={"model": registry.model, "versions": rows}, text="\n".join(map(write_row, rows)))


def measure(registry: Registry, version: str, settings: Settings) -> dict[str, Any]:
    """Runtime, number format and speed of a version, with batches of serve.max_batch on serve.device."""
    from inference.model.predictor import load_predictor
    from inference.model.speed import measure_speed

    predictor = load_predictor(registry, version, settings.serve.device)
    predictor.run_trial()
    speed = measure_speed(predictor, registry.weights(version), settings.serve.max_batch, settings.serve.device)
    card = predictor.card
    return {"version": version, "runtime": card.runtime, "number_format": card.number_format, **speed.to_dict()}


def write_row(row: dict[str, Any]) -> str:
    """One version for people."""
    what = f"version {row['version']} ({row['number_format']}, {row['runtime']})"
    if not row["float32_ms"]:
        return f"{what}: float32 itself"
    slower = ", slower than float32" if row["slower_than_float32"] else ""
    return f"{what}: {row['ms']} ms for {row['batch']} pictures, float32 {row['float32_ms']} ms{slower}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m training.speed`."""
    return run(command, argv, prog_name="python -m training.speed")


if __name__ == "__main__":
    end_with(main)
