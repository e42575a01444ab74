"""Makes a fit of labelers: finds the items of the window, gathers their votes, fits the model, writes tables and document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from command.progress import progress
from contract import clock
from contract.documents.labeler_fit import (
    FitClass,
    FitParameters,
    FitWindow,
    LabelerFit,
    find_newest_fit,
    read_fit_table,
    write_fit,
)
from contract.rows.items import ItemsDocument
from contract.stores.store import Storage
from jobs.evaluation_request import Request
from jobs.labelers.gather import gather_votes
from jobs.labelled.make import Listed, list_window

if TYPE_CHECKING:
    import pyarrow as pa

    from metrics.labelers.form import Fitted, Form, Parameters
    from metrics.labelers.gathered import Gathered

FULL, ONE_COIN, AUTO = "full", "one-coin", "auto"
# The full form is chosen up to these. With 30 votes a class it labels worse than one-coin where mistakes are spread evenly, with
# 300 no worse, and better where some classes are confused (benchmarks.labelers_simulated).
MOST_CLASSES, VOTES_PER_CLASS = 20, 50
ENGINES = ("embedded", "spark")


@dataclass(frozen=True)
class Wanted:
    """How a fit is to be made; `name` None: made of the moment. See contract.documents.labeler_fit.FitParameters."""

    form: str = AUTO
    iterations: int = 100
    tolerance: float = 1e-6
    smoothing: float = 0.01
    warm_start: bool = True
    name: str | None = None


def make_fit(storage: Storage, request: Request, wanted: Wanted) -> LabelerFit | str:
    """Makes and writes a fit of the labelers of a window; returns a sentence where the votes cannot tell."""
    listed = list_window(storage, request)
    gathered = _gather(storage, list(listed.documents.values()), request)
    if reason := _find_obstacle(gathered):
        return reason
    earlier = find_newest_fit(storage, request.question.model) if wanted.warm_start else None
    form_name = choose_form(gathered) if wanted.form == AUTO else wanted.form
    fitted, tables, classes = fit_votes(storage, gathered, form_name, wanted, earlier)
    now, question = clock.now(), request.question
    name = wanted.name or f"{now:%Y%m%dT%H%M%S}Z-{clock.to_us(now) % 10**6:06}"
    parameters = FitParameters(iterations=wanted.iterations, tolerance=wanted.tolerance, smoothing=wanted.smoothing,
                               start=earlier.name if earlier else None)
    fit = LabelerFit(
        model=question.model, name=name, at=clock.iso(now), as_of=clock.iso(clock.from_us(question.as_of)), role=question.role,
        window=_name_window(listed), engine=request.engine, form=form_name,
        inputs={day: document.name for day, document in sorted(listed.documents.items())}, parameters=parameters,
        iterations=len(fitted.log_likelihoods), converged=fitted.converged, log_likelihood=fitted.log_likelihoods[-1],
        votes=gathered.votes, predictions=gathered.items, labelers=len(gathered.index.labelers), left_out=gathered.left_out,
        classes=classes)
    return write_fit(storage, fit, tables)


def fit_votes(storage: Storage, gathered: Gathered, form_name: str, wanted: Wanted,
              earlier: LabelerFit | None) -> tuple[Fitted, dict[str, pa.Table], list[FitClass]]:
    """Fits votes in a form, from an `earlier` fit where there is one; returns (what was fitted, its tables, its classes)."""
    form = _make_form(form_name, gathered, wanted)
    fitted = _run(form, gathered, wanted, _find_start(storage, earlier, form_name, gathered) if earlier else None)
    return fitted, *_tabulate(form_name, form, fitted, gathered, wanted)


def choose_form(gathered: Gathered) -> str:
    """Chooses full where classes are few and a labeler has enough votes for each, on average."""
    classes, labelers = len(gathered.index.classes), len(gathered.index.labelers)
    enough = gathered.votes >= VOTES_PER_CLASS * classes * labelers
    return FULL if classes <= MOST_CLASSES and enough else ONE_COIN


def _name_window(listed: Listed) -> FitWindow:
    return FitWindow.model_validate({"from": listed.window.first, "to": listed.window.last})


def _gather(storage: Storage, documents: Sequence[ItemsDocument], request: Request) -> Gathered:
    if request.engine != "spark":
        return gather_votes(storage, documents)
    from jobs.engines.spark import labelers

    return labelers.gather_votes(storage, documents, **request.options)


def _find_obstacle(gathered: Gathered) -> str | None:
    """Says why these votes tell nothing of labelers; None where they do."""
    if not gathered.items:
        left = ", ".join(f"{n:,} {name}" for name, n in gathered.left_out.items() if n) or "no votes at all"
        return f"expected predictions that two or more named people judged, found none ({left}). Ask for second opinions."
    if len(gathered.index.classes) < 2:
        return f"expected votes for two or more classes, found {gathered.index.classes[0]!r} alone."
    return None


def _make_form(name: str, gathered: Gathered, wanted: Wanted) -> Form:
    from metrics.labelers.full import Full
    from metrics.labelers.one_coin import OneCoin

    if name == FULL:
        return Full(gathered.index, wanted.smoothing)
    return OneCoin(gathered.index, gathered.given.astype(float), wanted.smoothing)


def _find_start(storage: Storage, earlier: LabelerFit, form: str, gathered: Gathered) -> Parameters:
    from metrics.labelers.warm_start import start_full, start_one_coin

    labelers = read_fit_table(storage, earlier, "labelers")
    if form == FULL:
        return start_full(gathered.index, earlier, labelers, read_fit_table(storage, earlier, "confusion"))
    return start_one_coin(gathered.index, earlier, labelers)


def _run(form: Form, gathered: Gathered, wanted: Wanted, start: Parameters | None) -> Fitted:
    from metrics.labelers.form import alternate

    with progress("labelers fit", wanted.iterations, "iterations") as shown:
        return alternate(form, lambda parameters: gathered.add_up(form, parameters), start, wanted.iterations,
                         wanted.tolerance, gathered.votes, lambda number: shown.advance(iteration=number))


def _tabulate(name: str, form: Any, fitted: Fitted, gathered: Gathered,
              wanted: Wanted) -> tuple[dict[str, pa.Table], list[FitClass]]:
    """Returns (the tables of the fit, its classes)."""
    from metrics.labelers.figures import count_right, list_classes, tabulate_confusion, tabulate_labelers

    right = count_right(gathered.index, fitted.sums.votes) if name == FULL else fitted.sums.votes
    tables = {"labelers": tabulate_labelers(gathered.index, gathered.given, right, wanted.smoothing)}
    if name == FULL:
        tables["confusion"] = tabulate_confusion(form, fitted)
    return tables, list_classes(gathered.index, fitted)
