"""Renders an evaluation as HTML: the document and its decision, laid out by a template."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.documents.evaluation import Evaluation
from contract.evaluations import read_evaluation
from contract.report_script import SCRIPT
from contract.stores.store import Storage
from jobs.reports import view
from jobs.reports.sources import find_decision

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")


def load(storage: Storage, model: str, evaluation_id: str) -> tuple[Evaluation, dict[str, Any] | None]:
    """Reads an evaluation and its decision (None: not judged); NotFound names the newest there are."""
    evaluation = read_evaluation(storage, model, evaluation_id)
    return evaluation, find_decision(storage, model, evaluation_id)


def render(evaluation: Evaluation, decision: Mapping[str, Any] | None = None,
           sources: Mapping[str, Any] | None = None) -> str:
    """Renders the page of an evaluation document. Everything that people wrote is escaped."""
    return render_template("report.html", view.page(evaluation, decision, sources))


def render_template(name: str, values: Mapping[str, Any]) -> str:
    """Renders a page from its template, with the one script that reports have."""
    from markupsafe import Markup

    return _environment().get_template(name).render(**values, script=Markup(SCRIPT))


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters |= view.FILTERS
    return environment
