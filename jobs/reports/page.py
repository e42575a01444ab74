"""An evaluation as the HTML of its page: read with its decision, laid out by the template."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract import layout
from contract.errors import NotFound
from contract.report_script import SCRIPT
from contract.storage import read_json
from contract.stores.store import Storage
from jobs.reports import view
from jobs.reports.sources import optional

TEMPLATES = Path(__file__).with_name("templates")


def load(storage: Storage, model: str, evaluation_id: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """An evaluation and its decision (None: not judged); NotFound names the newest there are."""
    try:
        evaluation = read_json(storage, layout.evaluation_document(model, evaluation_id))
    except NotFound:
        there = ", ".join(storage.folders(layout.evaluations(model))[-3:]) or "none"
        raise NotFound(f"{storage.root}: model {model!r} has no evaluation {evaluation_id!r}; the newest are: {there}. "
                       f"Make one: trueup evaluate --model {model}.") from None
    return evaluation, optional(storage, layout.decision(model, evaluation_id))


def render(evaluation: Mapping[str, Any], decision: Mapping[str, Any] | None = None,
           sources: Mapping[str, Any] | None = None) -> str:
    """The page of an evaluation document. Everything that people wrote is escaped."""
    return template("report.html", view.page(evaluation, decision, sources))


def template(name: str, values: Mapping[str, Any]) -> str:
    """A page from its template, with the one script that reports have."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters |= view.FILTERS
    return environment.get_template(name).render(**values, script=Markup(SCRIPT))
