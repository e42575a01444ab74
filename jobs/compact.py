"""Compacts a day's many small files of rows into few: `trueup compact` (also `python -m jobs.compact`).

    trueup compact                      every day that is old enough (compact.after_days)
    trueup compact --day 2026-11-20     this one
    trueup compact --dry-run            what it would do

Rows stay as they are, and every reader finds each of them once at any time; counts stay valid. The old files are gone after
three runs on three days, so run it on a schedule (docs/growing.md#many-small-files).
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.process import end_with
from command.progress import progress
from contract import clock, layout
from contract.days import label_days, prediction_days
from contract.documents import expiry
from contract.errors import DONE, ERROR, Mismatch, UsageError
from contract.settings import CompactSettings, Settings
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.compacting.folder import Done, Folder

TABLES = (layout.PREDICTIONS, layout.LABELS)


@stage_command("compact")
@click.option("--day", "days", multiple=True, metavar="DAY", help="This day; may be given several times.")
@click.option("--before", metavar="DAY", help="Days before this one. [default: those older than compact.after_days]")
@click.option("--dry-run", is_flag=True, help="Say what would be done, change nothing.")
def command(settings: Settings, days: tuple[str, ...], before: str | None, dry_run: bool) -> Outcome:
    """Put the many small files of rows of old days into few; readers find each row once all the while."""
    if days and before:
        raise UsageError("expected --day or --before, got both.")
    storage = open_root(settings.need_root())
    chosen = [clock.parse_day(day) for day in days] or find_days(storage, before, settings.compact)
    act = look if dry_run else compact
    done, failed = [], []
    with progress("compact", len(chosen), "days") as shown:
        for day in chosen:
            if expiry.find_rows(storage, day):  # what is left of it is being removed
                continue
            for table in TABLES:
                try:
                    done.append(act(storage, table, day, settings.compact))
                except Mismatch as error:
                    failed.append({"table": table, "day": day, "error": str(error)})
            shown.advance(day=day)
    told = [asdict(one) for one in done if has_news(one)]
    document = {"dry_run": dry_run, "days": len(chosen), "done": told, "failed": failed}
    return Outcome(ERROR if failed else DONE, document, "\n".join(write_lines(document)))


def find_days(storage: Storage, before: str | None, settings: CompactSettings) -> list[str]:
    """The days of either table that are old enough, oldest first."""
    end = clock.parse_day(before) if before else clock.day_of(clock.now() - timedelta(days=settings.after_days))
    return sorted(day for day in {*prediction_days(storage), *label_days(storage)} if day < end)


def compact(storage: Storage, table: str, day: str, settings: CompactSettings) -> Done:
    """Does the steps that are due for a day of one table. Mismatch: a file is not what a document says of it."""
    return Folder(storage, table, day, settings).advance()


def look(storage: Storage, table: str, day: str, settings: CompactSettings) -> Done:
    """Returns what `compact` would do, by the listing alone."""
    return Folder(storage, table, day, settings).foresee()


def has_news(done: Done) -> bool:
    """Whether there is anything to say of a day."""
    return bool(done.packed or done.shown or done.removed or done.waits_until or done.left)


def write_lines(document: dict[str, Any]) -> list[str]:
    """What was done, for people."""
    said = [line for one in document["done"] for line in _say(one, document["dry_run"])]
    said += [f"{one['table']} of {one['day']}: {one['error']}" for one in document["failed"]]
    return said or [f"Nothing to put together on {write_count(document['days'], 'day')}."]


def _say(one: dict[str, Any], dry_run: bool) -> list[str]:
    where, would = f"{one['table']} of {one['day']}:", "would be " if dry_run else ""
    said = []
    if one["packed"]:
        into = f" into {one['into']}, {write_count(one['rows'], 'row')}" if one["into"] else ""
        said.append(f"{where} {write_count(one['packed'], 'file')} {would}put together{into}")
    if one["shown"]:
        said.append(f"{where} {one['shown']} packed files {would}shown to other programs instead of what they stand for")
    if one["removed"]:
        said.append(f"{where} {one['removed']} objects {would}removed that nobody reads any more")
    if one["waits_until"]:
        said.append(f"{where} other programs see the old files until {one['waits_until'][:16]}Z; run this again then")
    return said + [f"{where} {key} stays as it is: {why}" for key, why in one["left"].items()]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup compact`."""
    return run(command, argv, prog_name="trueup compact")


if __name__ == "__main__":
    end_with(main)
