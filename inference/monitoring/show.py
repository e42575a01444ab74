"""Prints the dashboard for Grafana or the alert rules for Prometheus, which are made for this release's metrics.

    python -m inference.monitoring.show dashboard > trueup-dashboard.json
    python -m inference.monitoring.show alerts > trueup-alerts.yaml
"""

from collections.abc import Sequence
from pathlib import Path

import click

from command.command import run
from command.process import end_with

FILES = {"dashboard": Path(__file__).with_name("dashboard.json"), "alerts": Path(__file__).with_name("alerts.yaml")}


@click.command("show")
@click.argument("what", type=click.Choice(sorted(FILES)))
def command(what: str) -> None:
    """Print the dashboard for Grafana, or the alert rules for Prometheus."""
    click.echo(FILES[what].read_text(encoding="utf-8"), nl=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="python -m inference.monitoring.show")


if __name__ == "__main__":
    end_with(main)
