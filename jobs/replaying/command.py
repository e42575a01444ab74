"""Replay: what a version would have answered to the pictures that the live one was asked about, on Spark.

    trueup replay --root ROOT --model M --version V [--from DAY] [--to DAY] [--json]
    python -m jobs.replaying.command …           spark-submit jobs/replaying/command.py …

Rows of role `replay` are written under the days and ids of the live ones, so labels of these judge both; then both are
compared, and `replays/<model>/<id>/replay.json` says how often they agree, what flips, and who is right. Run again, only
what is new is computed; a run that died is finished. Exit code 0 whatever the figures, 1 error, 2 wrong usage.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # run as a file, by spark-submit
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.progress import progress
from contract import clock, layout
from contract.errors import UsageError
from contract.registry import Registry
from contract.rows.models import require_model
from contract.sections.modules import list_allowed
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from jobs.engines import day_files
from jobs.engines.distinct import read_distinct
from jobs.evaluation_request import ENGINES, Request, request_of
from jobs.labelers.use import apply_fit
from jobs.labelled.make import list_window
from jobs.replaying.compare import compare
from jobs.replaying.part import KEPT, Part, replay_parts
from jobs.replaying.plan import PART, add_plan, list_parts_left
from jobs.replaying.text import write_text
from jobs.scoring.part import Job
from jvm.spark_conf import collect_conf


@stage_command("replay")
@click.option("--model", help="Name of the model. [env: TRUEUP_MODEL]")
@click.option("--version", required=True, help="Version that answers the pictures again.")
@click.option("--from", "first", type=clock.parse_day, metavar="DAY", help="First prediction day, YYYY-MM-DD.")
@click.option("--to", "last", type=clock.parse_day, metavar="DAY", help="Last prediction day, included.")
@click.option("--as-of", metavar="MOMENT", help="Predictions and labels that were known then (ISO 8601). [default: now]")
@click.option("--engine", type=click.Choice(sorted(ENGINES)), help="Lists the labels. [default: embedded; spark, if submitted]")
@click.option("--runner", help="mapreduce: inline, local, spark, hadoop or emr.")
@click.option("--batch", default=32, show_default=True, type=click.IntRange(1, 4096), help="Images at once in the network.")
@click.option("--spark-conf", multiple=True, metavar="KEY=VALUE", help="A setting of the Spark session; repeatable.")
@click.option("--no-report", is_flag=True, help="Do not write report.html beside it. [setting: report.automatic]")
def command(settings: Settings, model: str | None, version: str, first: str | None, last: str | None, as_of: str | None,
            engine: str | None, runner: str | None, batch: int, spark_conf: tuple[str, ...], no_report: bool) -> Outcome:
    """Let a version answer the logged pictures of a window again, and compare both answers."""
    settings = with_options(settings, model=model, evaluate__engine=engine)
    asked = request_of(settings, as_of, (), "live", runner, ())
    if asked.engine == "spark" and spark_conf:
        asked = request_of(settings, as_of, (), "live", runner, spark_conf)
    storage = open_root(settings.need_root())
    request = replace(asked, first=first, last=last, question=apply_fit(storage, asked.question))
    conf = collect_conf(settings, spark_conf)
    replay_id, document = replay(storage, settings, request, version, batch, conf)
    if settings.report.automatic and not no_report:
        from jobs.reports.replay import renew_replay_page

        renew_replay_page(storage, request.question.model, replay_id)
    where = storage.uri(layout.replay_document(request.question.model, replay_id))
    return Outcome(document=document, text=write_text(document, where))


def replay(storage: Storage, settings: Settings, request: Request, version: str, batch: int = 32,
           spark_conf: dict[str, str] | None = None, part: int = PART) -> tuple[str, dict[str, Any]]:
    """Computes the answers that no run has computed, then compares; returns the id of the replay, and what --json prints."""
    model = request.question.model
    require_model(storage, model)
    registry = Registry(storage, model)
    if version not in registry.versions():
        there = ", ".join(registry.versions()) or "none"
        raise UsageError(f"--version {version}: expected a version of model {model!r}: {there}.")
    registry.card(version)
    job = Job(model, version, batch, settings.serve.max_bytes, settings.serve.max_pixels, store_images=True,
              log_all_classes=settings.serve.log_all_classes, modules=tuple(list_allowed()))
    made = compute(storage, job, plan_window(storage, request, version, part), spark_conf)
    listed = list_window(storage, request)
    replay_id, document = compare(storage, request, version, listed, settings.gates)
    now = {"computed": sum(m["replayed"] for m in made), "files": sorted(m["file"] for m in made if m["file"]),
           "workers": len({m["worker"] for m in made}), "model_loads": sum(m["loaded"] for m in made)}
    return replay_id, {"id": replay_id, **document.to_dict(), "now": now}


def plan_window(storage: Storage, request: Request, version: str, part: int = PART) -> list[Part]:
    """Plans what no plan of the window's days holds; returns the parts that are not done. Days without rows have none."""
    question, waiting = request.question, []
    until = clock.day_of(clock.from_us(question.as_of))
    days = day_files.choose_window(storage, request.first, request.last, until, request.days).days
    with progress("plan", len(days), "days") as shown:
        for day in days:
            live = read_distinct(storage, day, question, KEPT)
            if live.num_rows:
                add_plan(storage, question.model, version, day, live, part)
            waiting += list_parts_left(storage, question.model, version, day)
            shown.advance(day=day)
    return waiting


def compute(storage: Storage, job: Job, waiting: Sequence[Part], spark_conf: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """Computes the parts on Spark, in two tasks or more, so that code that is right only within one task fails on a laptop."""
    if not waiting:
        return []
    from jvm import session, task_store

    at, context = task_store.describe(storage), session.get_session(dict(spark_conf or {}), hands_out=True).sparkContext
    slices = max(2, min(len(waiting), 4 * context.defaultParallelism))
    found: list[dict[str, Any]] = context.parallelize(list(waiting), slices).mapPartitions(
        lambda parts: replay_parts(at, job, iter(parts))).collect()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup replay`."""
    return run(command, argv)


if __name__ == "__main__":
    end_with(main)
