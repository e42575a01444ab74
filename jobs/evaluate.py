"""Evaluation of one model over a window of days: counts per day, figures, `evaluation.json`.

    trueup evaluate --root ROOT --model M [--from D] [--to D] [--engine embedded|spark|mapreduce] [--json]
    python -m jobs.evaluate …           spark-submit jobs/evaluate.py …  (engine spark, unless --engine says otherwise)
    trueup evaluate --predictions p.csv --labels l.csv        needs no root

A day is counted again only when its files changed or a row has become known since; `--full` counts all of them.
Exit code 0 whatever the figures (also for a window without rows: `"reason": "no data"`), 1 error, 2 wrong usage.
"""

import gc
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # run as a file, by spark-submit
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock, layout
from contract.errors import UsageError
from contract.settings import Settings
from contract.storage import open_root
from jobs.count_window import evaluate
from jobs.evaluate_text import make_outcome
from jobs.evaluation_request import ENGINES, name_fit, request_of
from jobs.imports.options import list_given, make_reading, with_reading_options
from jobs.labelers.use import apply_and_note

OBJECTS_BEFORE_COLLECTION = 200_000


@stage_command("evaluate")
@click.option("--model", help="Name of the model. [env: TRUEUP_MODEL]")
@click.option("--from", "first", type=clock.parse_day, metavar="DAY", help="First prediction day, YYYY-MM-DD.")
@click.option("--to", "last", type=clock.parse_day, metavar="DAY", help="Last prediction day, included.")
@click.option("--engine", type=click.Choice(sorted(ENGINES)), help="[default: embedded; spark under spark-submit]")
@click.option("--runner", help="mapreduce: inline, local, spark, hadoop or emr.")
@click.option("--as-of", metavar="MOMENT", help="Count what was known then (ISO 8601; without a zone UTC, a day "
              "alone means its end). [default: now]")
@click.option("--full", is_flag=True, help="Count every day again.")
@click.option("--items", "with_items", is_flag=True, help="Write the labelled rows behind the counts, too (trueup items).")
@click.option("--evidence", multiple=True, metavar="NAME", help="Work out a section that needs the labelled rows, too; "
              "repeatable. [setting: evaluate.evidence]")
@click.option("--spark-conf", multiple=True, metavar="KEY=VALUE", help="spark: a setting of the session; repeatable.")
@click.option("--role", default="live", show_default=True, help="Live, shadow, canary, batch or replay.")
@click.option("--model-version", metavar="V", help="With --role replay: the rows of this version alone.")
@click.option("--slice", "slices", multiple=True, metavar="NAME=EXPRESSION", help="A slice, e.g. camera=attributes.camera.")
@click.option("--fit", metavar="NAME", help="Weigh votes by this fit of labelers, or by the newest. [setting: labeler_fit]")
@click.option("--quarantine", is_flag=True, help="Go on without files that cannot be read; the result is partial.")
@click.option("--no-report", is_flag=True, help="Do not write report.html beside it. [setting: report.automatic]")
@click.option("--predictions", "predictions_file", type=click.Path(), help="A CSV, JSON or Parquet file, no root.")
@click.option("--labels", "labels_file", type=click.Path(), help="The labels beside --predictions.")
@click.option("--id-per-version", "per_version", is_flag=True, help="With --predictions: versions share ids, labels are of each.")
@with_reading_options
def command(settings: Settings, model: str | None, first: str | None, last: str | None, engine: str | None,
            runner: str | None, as_of: str | None, full: bool, with_items: bool, evidence: tuple[str, ...],
            spark_conf: tuple[str, ...], role: str, model_version: str | None, slices: tuple[str, ...], fit: str | None,
            quarantine: bool, no_report: bool, predictions_file: str | None, labels_file: str | None, per_version: bool,
            skip_bad: bool, **reading: Any) -> Outcome:
    """Count where predictions and labels agree, and write evaluation.json and its report."""
    # A document is a hundred thousand small objects that live to the end: collecting garbage among them every 700
    # allocations takes a tenth of the time of a report.
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    settings = with_options(settings, model=model, evaluate__engine=engine, evaluate__evidence=list(evidence) or None)
    settings = name_fit(settings, fit)
    if predictions_file or labels_file:
        _refuse_options_of_root({"items": with_items, "fit": fit, "from": first, "to": last, "full": full, "runner": runner,
                                 "quarantine": quarantine, "spark_conf": spark_conf or None, "model_version": model_version})
        from jobs.evaluate_files import evaluate_files

        chosen = make_reading(**reading)
        return evaluate_files(settings, predictions_file, labels_file, as_of, slices, role, chosen, skip_bad,
                              per_version)
    if of_files := list_given({**reading, "skip_bad": skip_bad, "id_per_version": per_version}):
        raise UsageError(f"{of_files[0]} is for --predictions and --labels, got neither.")
    request = replace(request_of(settings, as_of, slices, role, runner, spark_conf, model_version), first=first, last=last,
                      full=full, quarantine=quarantine)
    storage = open_root(settings.need_root())
    question, fit_reads = apply_and_note(storage, request.question)
    request = replace(request, question=question, rests_on=fit_reads)
    document, folder = evaluate(storage, request)
    if with_items:
        from jobs.labelled.make import list_window

        list_window(storage, request)
    evaluation_id = folder.rstrip("/").rpartition("/")[2]
    if not no_report:
        from jobs.reports.written import renew_report

        renew_report(storage, document["model"], evaluation_id, settings.report)
    where = storage.uri(layout.evaluation_document(document["model"], evaluation_id))
    return make_outcome(document, where, evaluation_id)


def _refuse_options_of_root(values: Mapping[str, Any]) -> None:
    """Raises UsageError for an option that says something of a root, beside files that are evaluated without one."""
    if named := list_given(values):
        raise UsageError(f"{named[0]} needs a root: expected none of --predictions and --labels beside it.")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run(command, argv)


if __name__ == "__main__":
    end_with(main)
