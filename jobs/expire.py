"""Removes pictures and rows that are older than the settings say: `trueup expire` (also `python -m jobs.expire`).

    trueup expire --dry-run      what would go
    trueup expire                removes it; killed and run again, it finishes

`retention.pictures_days`: pictures are removed that no younger row, no dataset and no gold item names. `retention.rows_days`:
rows are removed when every model and role of the day is counted, by the settings of today; these counts stay, and evaluations
over such days rest on them. Each day keeps a record of what was removed (docs/growing.md#what-goes-by-age). The cycle runs this
at its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.progress import progress
from contract import clock
from contract.days import label_days, prediction_days
from contract.documents import expiry
from contract.errors import DONE, ERROR, Mismatch, NotFound
from contract.rows.listing import list_day
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.evaluation_request import Request, request_of
from jobs.expiring import pictures, rows
from jobs.expiring.rows import Stays
from jobs.labelers.use import apply_fit


@dataclass
class Gone:
    """What went, or would: days and pictures, days and files of rows; what stays although it is old, and why."""

    pictures: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)
    stays: dict[str, str] = field(default_factory=dict)


@stage_command("expire")
@click.option("--dry-run", is_flag=True, help="Say what would go, change nothing.")
def command(settings: Settings, dry_run: bool) -> Outcome:
    """Remove pictures and rows that are older than retention.pictures_days and retention.rows_days."""
    storage = open_root(settings.need_root())
    gone = Gone()
    expire_pictures(storage, settings, gone, dry_run)
    expire_rows(storage, settings, gone, dry_run)
    document = {"dry_run": dry_run, "retention": settings.retention.model_dump(), **vars(gone)}
    return Outcome(ERROR if gone.stays else DONE, document, "\n".join(write_lines(document)))


def find_old(days: Sequence[str], age: int | None) -> list[str]:
    """Those of the days that are more than `age` days before today; none without an age."""
    end = clock.day_of(clock.now() - timedelta(days=age)) if age is not None else ""
    return [day for day in days if day < end]


def expire_pictures(storage: Storage, settings: Settings, gone: Gone, dry_run: bool) -> None:
    """Removes the pictures of old days, and once more those of days whose rows are removed now: nothing names them afterwards."""
    age = settings.retention.pictures_days
    old = find_old(prediction_days(storage), age)
    leaving = set(find_old(old, settings.retention.rows_days))
    to_do = [day for day in old if not pictures.is_done(storage, day)
             or (day in leaving and expiry.find_rows(storage, day) is None)]
    if age is None or not to_do:
        return
    found = pictures.find_old(storage, to_do)
    needed = pictures.find_needed(storage, {sha256 for of_day in found.values() for sha256 in of_day.values()}, old)
    for day, of_day in found.items():
        keys = sorted(key for key, sha256 in of_day.items() if sha256 not in needed)
        gone.kept[day] = len(of_day) - len(keys)
        gone.pictures[day] = (sum(map(storage.exists, keys)) if dry_run else
                              pictures.remove(storage, day, keys, gone.kept[day], age))


def expire_rows(storage: Storage, settings: Settings, gone: Gone, dry_run: bool) -> None:
    """Removes the rows of old days, each once it is counted; a day that cannot be counted is named, and the others go on."""
    age = settings.retention.rows_days
    old = find_old(sorted({*prediction_days(storage), *label_days(storage)}), age)
    with progress("expire", len(old), "days") as shown:
        for day in old:
            try:
                record = expiry.find_rows(storage, day)
                if dry_run:
                    gone.files[day] = len(rows.find_left(storage, record) if record else rows.list_objects(
                        storage, day, list_day(storage, day)))
                else:
                    requests = [] if record else list(make_requests(storage, settings, day))
                    gone.files[day] = rows.expire(storage, day, requests, age or 0)
                gone.late += rows.find_late(storage, record) if record else []
            except (Stays, Mismatch) as error:
                gone.stays[day] = str(error)
            shown.advance(day=day)


def make_requests(storage: Storage, settings: Settings, day: str) -> Iterator[Request]:
    """One request for each model and role that a day has rows of, by the settings of today. Words that are no role have none."""
    found = rows.find_models(storage, day)
    for model in sorted({model for model, _ in found}):
        request = request_of(with_options(settings, model=model), None, (), "live", None, ())
        try:
            request = replace(request, question=apply_fit(storage, request.question))
        except NotFound as error:  # the model has no such fit, and counts that will be kept are not made without it
            raise Stays(str(error)) from error
        roles = {request.question.resolve_role(word) for of, word in found if of == model} | {"live"}
        for role in sorted(role for role in roles if role):
            yield replace(request, question=replace(request.question, role=role), engine="embedded", options={})


def write_lines(document: dict[str, Any]) -> list[str]:
    """What went, for people."""
    would = "would go" if document["dry_run"] else "went"
    said = [f"{day}: {write_count(n, 'picture')} {would}"
             + (f", {kept:,} are needed and stay" if (kept := document["kept"][day]) else "")
            for day, n in document["pictures"].items() if n or document["kept"][day]]
    said += [f"{day}: {write_count(n, 'file')} of rows {would}; its counts stay" for day, n in document["files"].items() if n]
    said += [f"{key} came after the rows of its day expired: it stays, and is not counted" for key in document["late"]]
    said += [f"{day}: its rows stay: {why}" for day, why in document["stays"].items()]
    if not any(document["retention"].values()):
        return ["Nothing goes by age: neither retention.pictures_days nor retention.rows_days is set."]
    return said or ["Nothing is old enough to go."]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup expire`."""
    return run(command, argv, prog_name="trueup expire")


if __name__ == "__main__":
    end_with(main)
