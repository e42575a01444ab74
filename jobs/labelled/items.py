"""Writes the labelled rows behind the counts, for what needs rows instead of cells: `trueup items`.

    trueup items --root ROOT --model M [--from D] [--to D] [--engine embedded|spark|mapreduce] [--as-of T] [--json]
    python -m jobs.labelled.items …     spark-submit jobs/labelled/items.py …  (engine spark, unless --engine says otherwise)
    trueup evaluate --items …           the same window, after it is counted

For each day: items/<model>/dt=<day>/<inputs>/<known_through>.json and the table that it names (contract/rows/items.py). Days
that have theirs are not read again. Exit code 0 also for a window without labels, 1 error, 2 wrong usage.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # run as a file, by spark-submit
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.terminal import escape
from contract import clock, layout
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.evaluation_request import ENGINES, Request, request_of
from jobs.labelers.use import apply_fit
from jobs.labelled.make import Listed, list_window


@stage_command("items")
@click.option("--model", help="Name of the model. [env: TRUEUP_MODEL]")
@click.option("--from", "first", type=clock.parse_day, metavar="DAY", help="First prediction day, YYYY-MM-DD.")
@click.option("--to", "last", type=clock.parse_day, metavar="DAY", help="Last prediction day, included.")
@click.option("--engine", type=click.Choice(sorted(ENGINES)), help="[default: embedded; spark under spark-submit]")
@click.option("--runner", help="mapreduce: inline, local, spark, hadoop or emr.")
@click.option("--as-of", metavar="MOMENT", help="What was known then (ISO 8601; without a zone UTC, a day alone means its "
              "end). [default: now]")
@click.option("--spark-conf", multiple=True, metavar="KEY=VALUE", help="spark: a setting of the session; repeatable.")
@click.option("--role", default="live", show_default=True, help="Live, shadow, canary, batch or replay.")
@click.option("--model-version", metavar="V", help="With --role replay: the rows of this version alone.")
@click.option("--quarantine", is_flag=True, help="Go on without files whose columns cannot be taken.")
def command(settings: Settings, model: str | None, first: str | None, last: str | None, engine: str | None,
            runner: str | None, as_of: str | None, spark_conf: tuple[str, ...], role: str, model_version: str | None,
            quarantine: bool) -> Outcome:
    """Write the labelled predictions of each day, with all votes, where they are not written yet."""
    settings = with_options(settings, model=model, evaluate__engine=engine)
    request = replace(request_of(settings, as_of, (), role, runner, spark_conf, model_version), first=first, last=last,
                      quarantine=quarantine)
    storage = open_root(settings.need_root())
    request = replace(request, question=apply_fit(storage, request.question))
    listed = list_window(storage, request)
    return Outcome(document=describe(listed, request), text=write_text(storage, listed, request))


def describe(listed: Listed, request: Request) -> dict[str, Any]:
    """Returns what --json prints: of each day the name of its items, how many there are, and whether they were made now."""
    question = request.question
    days = {day: {"name": document.name, "items": document.items, "made": day in listed.made}
            for day, document in sorted(listed.documents.items())}
    return {"model": question.model, "role": question.role, "window": {"from": listed.window.first, "to": listed.window.last},
            "as_of": clock.iso(clock.from_us(question.as_of)), "engine": request.engine,
            "items": sum(document.items for document in listed.documents.values()), "days": days, "expired": listed.expired,
            "partial": [{"file": key, "reason": reason} for key, reason in sorted(listed.left_out.items())]}


def write_text(storage: Storage, listed: Listed, request: Request) -> str:
    """Says how many items there are, what was made, and where they lie."""
    items, model = sum(d.items for d in listed.documents.values()), request.question.model
    lines = [f"{escape(model)}, predictions of {listed.window.first} to {listed.window.last}: {items:,} labelled ones on "
             f"{write_count(len(listed.documents), 'day')}; {write_count(len(listed.made), 'day')} made now, the others were "
             f"there."]
    lines += [escape(f"PARTIAL: left out {key}: {reason}") for key, reason in sorted(listed.left_out.items())]
    lines += [f"expired: the rows of {len(listed.expired)} of these days: {', '.join(listed.expired)}"] if listed.expired else []
    return "\n".join([*lines, storage.uri(layout.items(model))])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run(command, argv, prog_name="trueup items")


if __name__ == "__main__":
    end_with(main)
