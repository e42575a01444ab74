"""Checks what the commands need: Java, Spark, s3a, the root, the clock, the disk, a GPU. Writes one probe into the root.

    trueup doctor [--root R] [--account] [--contents] [--json]      (python -m pipeline.doctor)

`--account` looks at the AWS account, too: who asks, the stack, what each of its roles may do on the root, the packages, and
what must be there beside them: region, release, service-linked roles, subnets, quotas, images. What the caller may not ask is
`not asked`. `--contents` looks whether what the root's documents name is there (docs/restore.md).
Of code of the user's own (hook, decoder, networks) it says whether it is listed and found; it runs none.
A version that answers slower here than float32 would is `slow`; where `serve.redact` leaves 8 bits of pictures whose 16 a
version's levels divide, they are `lost`.
Exit code 0 when everything that is needed works, else 1. What is merely absent (no root named, no GPU) is said.
"""

from collections.abc import Sequence
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.process import end_with
from command.terminal import align
from contract.errors import DONE, ERROR, TrueupError
from contract.settings import Settings
from pipeline.checks import decoder, formats, machine, own_code, redaction
from pipeline.checks.decoder import OTHER
from pipeline.checks.formats import SLOW
from pipeline.checks.in_use import CardsInUse
from pipeline.checks.machine import BAD, OK, Check
from pipeline.checks.redaction import LOST


@stage_command("doctor")
@click.option("--account", is_flag=True, help="Look at the AWS account, too: the stack, its roles, the packages, "
              "quotas, subnets, images.")
@click.option("--contents", is_flag=True, help="Look at the root, too: whether what its documents name is there.")
def command(settings: Settings, account: bool, contents: bool) -> Outcome:
    """Check Java, Spark, the root, the clock, the disk and the GPU."""
    rows = [run_check(name, check, settings) for name, check in machine.CHECKS.items()]
    rows.append(run_check("formats", machine.Check(formats.check_formats, "make a version live that is faster here (trueup model "
                                                   "convert), or set serve.formats: fastest"), settings))
    in_use = CardsInUse(settings.root)
    rows.append(run_check("own code", own_code.make_check(in_use), settings))
    rows.append(run_check("decoder", decoder.make_check(in_use), settings))
    if settings.serve.redact:
        rows.append(run_check("redaction", redaction.make_check(in_use), settings))
    if account:
        from pipeline.checks import account as doctor_account

        rows += [_make_row(*row) for row in doctor_account.check_account(settings)]
    if contents:
        from pipeline.checks.contents import check_contents

        rows += [_make_row(*row) for row in check_contents(settings)]
    code = ERROR if any(row["state"] == BAD for row in rows) else DONE
    return Outcome(code, {"checks": rows, "ok": code == DONE}, write_text(rows))


def run_check(name: str, check: Check, settings: Settings) -> dict[str, Any]:
    """Runs one check; its error is the finding."""
    try:
        state, found = check.look(settings)
    except (TrueupError, RuntimeError, OSError) as error:
        state, found = BAD, str(error)
    return _make_row(name, state, found, "" if state == OK else check.do)


def _make_row(name: str, state: str, found: str, do: str) -> dict[str, Any]:
    """Makes a row; `do` is what to do about it, null where there is nothing to do."""
    return {"check": name, "state": state, "found": found, "do": do or None}


def write_text(rows: Sequence[dict[str, Any]]) -> str:
    """Writes the table; below it, what to do about what is wrong."""
    table = align(("check", "state", "found"), [(row["check"], row["state"], row["found"]) for row in rows])
    cures = [f"{row['check']}: {row['do']}" for row in rows if row["state"] in (BAD, SLOW, LOST, OTHER) and row["do"]]
    return "\n".join([table, *(["", "To do:", *(f"  {cure}" for cure in cures)] if cures else [])])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup doctor")


if __name__ == "__main__":
    end_with(main)
