"""Renders an evaluation as one page: a single HTML file that needs no network and prints well.

    trueup report [EVALUATION] --model digits [--open] [--csv FOLDER] [--json]      (python -m jobs.report)
    trueup report --buckets 80-85-90-95-100 --split-wrong --by-class table.csv      the table by class and confidence
    trueup report A B --model digits           two evaluations, or two versions of the newest one, side by side

Writes `report.html` beside `evaluation.json`, with the verdict when `decision.json` is there, the list of all reports
(`evaluations/<model>/index.html`) and the evaluation's tables where SQL engines find them. Exit codes: 0, 1, 2.
"""

import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract.errors import NotFound, UsageError
from contract.evaluations import find_newest_readable, read_evaluation
from contract.rows.models import require_model
from contract.settings import ReportSettings, Settings
from contract.storage import open_root
from contract.stores.store import Storage
from jobs.reports.checking import parse_buckets, write_table
from jobs.reports.compare import write_comparison
from jobs.reports.written import write_report


@stage_command("report")
@click.argument("names", metavar="[EVALUATION | A B]", nargs=-1)
@click.option("--model", help="The model's name. [env: TRUEUP_MODEL]")
@click.option("--open", "open_it", is_flag=True, help="Show the page in the browser.")
@click.option("--csv", "csv_folder", type=click.Path(file_okay=False), metavar="FOLDER",
              help="Write the tables there as CSV, too.")
@click.option("--buckets", metavar="EDGES", help="Confidence buckets of the table by class, such as 80-85-90-95-100. "
              "[setting: report.buckets]")
@click.option("--split-wrong", is_flag=True, help="Count predictions whose labels differ as incorrect there. "
              "[setting: report.split_wrong]")
@click.option("--by-class", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write that table there, too: a .csv or .json file.")
def command(settings: Settings, names: tuple[str, ...], model: str | None, open_it: bool,
            csv_folder: str | None, buckets: str | None = None, split_wrong: bool = False,
            by_class: Path | None = None) -> Outcome:
    """Render an evaluation (its folder's name; default: the newest) as one HTML page, or compare two."""
    settings = with_options(settings, model=model, report__buckets=parse_buckets(buckets) if buckets is not None else None,
                            report__split_wrong=split_wrong or None)
    storage, name = open_root(settings.need_root()), settings.need_model()
    if len(names) > 2:
        raise UsageError(f"expected one evaluation, or two to compare, got {len(names)}.")
    try:
        where, document = make(storage, name, names, settings.report, csv_folder)
        if by_class is not None:
            document["by_class"] = _write_by_class(storage, name, names, settings.report, by_class)
    except NotFound:
        require_model(storage, name)
        raise
    if open_it:
        show(storage, where)
    return Outcome(document=document, text=where)


def make(storage: Storage, model: str, names: Sequence[str], settings: ReportSettings,
         csv_folder: str | None) -> tuple[str, dict[str, Any]]:
    """Writes the report of one evaluation (none named: of the newest that can be read), or the comparison of two.

    Returns where it lies, and what --json prints.
    """
    if len(names) == 2:
        return write_comparison(storage, model, *names)
    evaluation_id = names[0] if names else find_newest_readable(storage, model)
    where = storage.uri(write_report(storage, model, evaluation_id, settings))
    return where, {"report": where, **publish(storage, model, evaluation_id, csv_folder)}


def _write_by_class(storage: Storage, model: str, names: Sequence[str], settings: ReportSettings, file: Path) -> str:
    if len(names) == 2:
        raise UsageError("--by-class is of one evaluation: expected one, got two to compare.")
    evaluation_id = names[0] if names else find_newest_readable(storage, model)
    return write_table(storage, read_evaluation(storage, model, evaluation_id), settings, file)


def show(storage: Storage, where: str) -> None:
    """Shows a page in the browser; a page in a bucket as a copy on this machine. UsageError without a browser."""
    page = where
    if not where.startswith("file:"):
        copy = Path(tempfile.mkdtemp(prefix="trueup-report-"), "report.html")
        copy.write_bytes(storage.read(where.removeprefix(f"{storage.root}/")))
        page = copy.as_uri()
    if not webbrowser.open(page):
        raise UsageError(f"--open: expected a browser on this machine, found none. The report is written: {where}.")


def publish(storage: Storage, model: str, evaluation_id: str, csv_folder: str | None = None) -> dict[str, Any]:
    """Writes the list of all reports, the tables for SQL and, when asked, CSV; says where."""
    from jobs.reports import index
    from jobs.reports import tables as report_tables

    tables = report_tables.copy(storage, model, evaluation_id)
    written = report_tables.write_csv(storage, model, evaluation_id, Path(csv_folder)) if csv_folder else []
    return {"index": index.write(storage, model), "tables": tables} | ({"csv": written} if csv_folder else {})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv)


if __name__ == "__main__":
    end_with(main)
