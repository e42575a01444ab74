"""Brings a root back from the versions of its bucket.

    trueup restore --since 2026-11-28T14:00Z [--dry-run] [--json]      (python -m pipeline.restore)

Whatever was deleted or overwritten since then becomes again what it was; what was made since stays. Then
`trueup doctor --contents` says what is missing (docs/restore.md).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import click

from command.command import Outcome, run, stage_command
from command.process import end_with
from contract import clock
from contract.settings import Settings
from contract.storage import open_storage
from contract.stores.s3_versions import LostVersion, bring_back, list_lost, require_versions

COPIES_AT_ONCE = 16
SHOWN = 20


@stage_command("restore")
@click.option("--since", required=True, metavar="MOMENT", help="Undo what was deleted or overwritten then or later (ISO 8601; "
              "without a zone UTC).")
@click.option("--dry-run", is_flag=True, help="Say what would be brought back, change nothing.")
def command(settings: Settings, since: str, dry_run: bool) -> Outcome:
    """Bring back what was deleted or overwritten in a bucket that keeps versions."""
    storage = require_versions(open_storage(settings.need_root()))
    lost = list(list_lost(storage, clock.parse_moment(since)))
    if not dry_run:
        with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
            list(pool.map(lambda one: bring_back(storage, one), lost))
    document = {"root": storage.root, "since": since, "dry_run": dry_run, "bytes": sum(one.size for one in lost),
                "deleted": [one.key for one in lost if one.deleted], "overwritten": [one.key for one in lost if not one.deleted]}
    return Outcome(document=document, text=write_text(storage.root, lost, dry_run))


def write_text(root: str, lost: Sequence[LostVersion], dry_run: bool) -> str:
    """Says how much was brought back, and the first of it by name."""
    deleted = sum(one.deleted for one in lost)
    done = "would be brought back" if dry_run else "brought back"
    lines = [f"{root}: {deleted:,} deleted and {len(lost) - deleted:,} overwritten objects {done}, "
             f"{sum(one.size for one in lost):,} bytes"]
    lines += [f"  {'deleted' if one.deleted else 'overwritten'} {one.key}" for one in lost[:SHOWN]]
    return "\n".join([*lines, *([f"  and {len(lost) - SHOWN:,} more"] if len(lost) > SHOWN else [])])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup restore")


if __name__ == "__main__":
    end_with(main)
