"""Machines side by side: what `python -m benchmarks` recorded on each, priced by its own instance type.

    trueup bench [here.json there.json …] [--instance m5.large --instance g5.xlarge] [--prices FILE]

The benchmarks are in a checkout only (a wheel has neither them nor the tests' pictures that they ask the service with). This
command imports them from the checkout that it is in; without one it says so.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.process import end_with
from contract.errors import UsageError
from contract.settings import Settings

CHECKOUT = Path(__file__).resolve().parents[1]
FILE = click.Path(path_type=Path)


@stage_command("bench")
@click.argument("records", nargs=-1, type=FILE)
@click.option("--instance", "instances", multiple=True,
              help="A record's instance type, where it names none; once for each record.")
@click.option("--prices", type=FILE, help="A price table. [default: emr/prices.json, examples to be checked]")
def command(settings: Settings, records: tuple[Path, ...], instances: tuple[str, ...], prices: Path | None) -> Outcome:
    """Print one table of what machines do and cost; measure one with `python -m benchmarks --instance TYPE [--root URI]`."""
    summary = _import_summary()
    found = [summary.read_record(path) for path in records or (summary.RECORDED,)]
    return Outcome(document={"records": found}, text=summary.text(found, instances, prices))


def _import_summary() -> Any:
    """Imports benchmarks/summary.py of the checkout that this module is in. UsageError: it is in none."""
    if not (CHECKOUT / "benchmarks" / "summary.py").is_file():
        raise UsageError(f"trueup bench: expected a checkout with benchmarks/ beside the packages, found none in {CHECKOUT}. Run "
                         f"it from a checkout after `make setup`.")
    if str(CHECKOUT) not in sys.path:
        sys.path.append(str(CHECKOUT))
    from benchmarks import summary

    return summary


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup bench")


if __name__ == "__main__":
    end_with(main)
