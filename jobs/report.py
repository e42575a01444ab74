"""Renders an evaluation as one page: a single HTML file that needs no network and is good on paper.

    trueup report [EVALUATION] --model digits [--open] [--json]      (python -m jobs.report)

Writes `report.html` beside `evaluation.json`, with the verdict when `decision.json` is there. Exit codes: 0, 1, 2.
"""

import sys
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from contract import layout
from contract.command import Outcome, run, stage_command
from contract.errors import NotFound
from contract.settings import Settings, with_options
from contract.storage import Storage, open_root, read_json
from jobs import report_view

TEMPLATES = Path(__file__).with_name("templates")


@stage_command("report")
@click.argument("evaluation_id", metavar="[EVALUATION]", required=False)
@click.option("--model", help="The model's name. [env: TRUEUP_MODEL]")
@click.option("--open", "open_it", is_flag=True, help="Show the page in the browser.")
def command(settings: Settings, evaluation_id: str | None, model: str | None, open_it: bool) -> Outcome:
    """Render an evaluation (its folder's name; default: the newest) as one HTML page."""
    settings = with_options(settings, model=model)
    storage, name = open_root(settings.need_root()), settings.need_model()
    where = write(storage, name, evaluation_id or newest(storage, name))
    if open_it:
        webbrowser.open(where)
    return Outcome(document={"report": where}, text=where)


def newest(storage: Storage, model: str) -> str:
    """The newest evaluation of a model that was finished; NotFound when there is none."""
    for name in reversed(storage.folders(layout.evaluations(model))):
        if storage.exists(layout.evaluation(model, name) + "evaluation.json"):
            return name
    raise NotFound(f"{storage.root}: expected an evaluation of model {model!r}, found none. Make one: "
                   f"trueup evaluate --model {model}.")


def write(storage: Storage, model: str, evaluation_id: str) -> str:
    """Renders `report.html` of one evaluation (again, when there is one) and returns where it lies."""
    folder = layout.evaluation(model, evaluation_id)
    try:
        evaluation = read_json(storage, folder + "evaluation.json")
    except NotFound:
        there = ", ".join(storage.folders(layout.evaluations(model))[-3:]) or "none"
        raise NotFound(f"{storage.root}: model {model!r} has no evaluation {evaluation_id!r}; the newest are: {there}. "
                       f"Make one: trueup evaluate --model {model}.") from None
    try:
        decision = read_json(storage, folder + "decision.json")
    except NotFound:
        decision = None
    storage.put(folder + "report.html", render(evaluation, decision).encode())
    return storage.uri(folder + "report.html")


def render(evaluation: Mapping[str, Any], decision: Mapping[str, Any] | None = None) -> str:
    """The page of an evaluation document. Everything that people wrote is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters |= report_view.FILTERS
    return environment.get_template("report.html").render(report_view.page(evaluation, decision))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv)


if __name__ == "__main__":
    sys.exit(main())
