"""Checks what the commands need: Java, Spark, s3a, the root, the clock, the disk, a GPU. Writes one probe into the root.

    trueup doctor [--root R] [--account] [--json]      (python -m pipeline.doctor)

`--account` looks at the AWS account, too: who asks, the stack, what each of its roles may do on the root, the packages.
Exit code 0 when everything that is needed works, else 1. What is merely absent (no root named, no GPU) is said.
"""

import sys
from collections.abc import Sequence
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.terminal import aligned
from contract.errors import DONE, ERROR, TrueupError
from contract.settings import Settings
from pipeline.checks import machine
from pipeline.checks.machine import BAD, OK, Check


@stage_command("doctor")
@click.option("--account", is_flag=True, help="Look at the AWS account, too: the stack, its roles, the packages.")
def command(settings: Settings, account: bool) -> Outcome:
    """Check Java, Spark, the root, the clock, the disk and the GPU."""
    found = [checked(name, check, settings) for name, check in machine.CHECKS.items()]
    if account:
        from pipeline.checks import account as doctor_account

        found += [_row(*row) for row in doctor_account.rows(settings)]
    code = ERROR if any(row["state"] == BAD for row in found) else DONE
    return Outcome(code, {"checks": found, "ok": code == DONE}, text(found))


def checked(name: str, check: Check, settings: Settings) -> dict[str, Any]:
    """The result of one check; its error is the finding."""
    try:
        state, found = check.look(settings)
    except (TrueupError, RuntimeError, OSError) as error:
        state, found = BAD, str(error)
    return _row(name, state, found, "" if state == OK else check.do)


def _row(name: str, state: str, found: str, do: str) -> dict[str, Any]:
    """`do` is what to do about it; null where there is nothing to do."""
    return {"check": name, "state": state, "found": found, "do": do or None}


def text(found: Sequence[dict[str, Any]]) -> str:
    """The table; below it, what to do about what is wrong."""
    table = aligned(("check", "state", "found"), [(row["check"], row["state"], row["found"]) for row in found])
    cures = [f"{row['check']}: {row['do']}" for row in found if row["state"] == BAD and row["do"]]
    return "\n".join([table, *(["", "To do:", *(f"  {cure}" for cure in cures)] if cures else [])])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup doctor")


if __name__ == "__main__":
    sys.exit(main())
