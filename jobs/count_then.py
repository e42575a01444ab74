"""Counts days as they were known at earlier moments, for `trueup gate --what-if`: no evaluation, only counts.

    python -m jobs.count_then --root ROOT --model M --wanted FILE [--json]

FILE is JSON, moment (ISO 8601) -> prediction days. A day is counted again only for a moment at which more was known of it.
Days whose rows expired are left out and named.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock
from contract.counts_store import CountsDocument
from contract.errors import Expired
from contract.settings import Settings
from contract.storage import open_root
from contract.texts.figures import write_count
from jobs.count_window import count
from jobs.evaluation_request import request_of


@stage_command("count-then")
@click.option("--model", help="Name of the model. [env: TRUEUP_MODEL]")
@click.option("--wanted", required=True, type=click.Path(), help="JSON file: moment -> prediction days.")
def command(settings: Settings, model: str | None, wanted: str) -> Outcome:
    """Count days as they were known at earlier moments."""
    settings = with_options(settings, model=model)
    storage = open_root(settings.need_root())
    asked: dict[str, list[str]] = json.loads(Path(wanted).read_text())
    request = request_of(settings, None, (), "live", None, ())
    held: dict[str, CountsDocument] = {}
    made, expired = 0, set()
    for moment, days in sorted(asked.items()):
        as_of = clock.to_us(clock.parse_moment(moment))
        then = replace(request, question=replace(request.question, as_of=as_of))
        for day in (d for d in days if d not in held or not held[d].is_good_at(as_of)):
            try:
                held |= count(storage, then, [day]).documents
                made += 1
            except Expired:
                expired.add(day)
    text = f"{write_count(made, 'day')} counted, each as it was known at its moment"
    return Outcome(document={"counted": made, "expired": sorted(expired)}, text=text)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run(command, argv)


if __name__ == "__main__":
    end_with(main)
