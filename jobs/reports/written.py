"""The report of an evaluation as it is stored in the root: written, written again, and rendered on demand where it is missing.

`trueup report` writes it, and so does every command that changes what it shows: an evaluation, a decision on it. The service
renders one that is missing.
"""

import logging
import re

from contract import ids, layout
from contract.errors import RootError
from contract.settings import ReportSettings
from contract.stores.store import Storage
from jobs.reports.page import load, render
from jobs.reports.sources import read_sources

SHOWN_PICTURE = re.compile(f'data-image="({ids.SHA256})"')
log = logging.getLogger(__name__)


def write_report(storage: Storage, model: str, evaluation_id: str, settings: ReportSettings | None = None) -> str:
    """Renders `report.html` of one evaluation (again, when there is one) and returns its key.

    Raises:
        NotFound: there is no such evaluation.
        DamagedDocument: it cannot be read.
    """
    chosen, key = settings or ReportSettings(), layout.report(model, evaluation_id)
    html = _render(storage, model, evaluation_id, chosen)
    storage.put(key, html.encode())
    if _shows_erased(storage, html):  # a picture that was erased while this was rendered
        storage.put(key, _render(storage, model, evaluation_id, chosen).encode())
    return key


def give_report(storage: Storage, model: str, evaluation_id: str, settings: ReportSettings) -> str:
    """Renders a report that is missing, and stores it where the caller's role may.

    A service's role may read fewer places than a report shows (docs/deploy.md): what is beside the evaluation is then left
    out, and the page is given without being stored. Raises as `write_report`.
    """
    try:
        return storage.read(write_report(storage, model, evaluation_id, settings)).decode()
    except RootError as error:
        log.warning("the report of evaluation %s is given, not stored: %s", evaluation_id, error)
        return render(*load(storage, model, evaluation_id))


def renew_report(storage: Storage, model: str, evaluation_id: str, settings: ReportSettings) -> None:
    """Writes the report after what it shows was made or changed. A failure is logged and never raised: an evaluation or a
    decision that is stored is complete without a page."""
    if not settings.automatic:
        return
    try:
        write_report(storage, model, evaluation_id, settings)
    except Exception as error:  # whatever a template or a picture makes of it
        log.warning("the report of evaluation %s was not written: %s: %s. Try again: trueup report %s --model %s.", evaluation_id,
                    type(error).__name__, error, evaluation_id, model)


def _render(storage: Storage, model: str, evaluation_id: str, settings: ReportSettings) -> str:
    evaluation, decision = load(storage, model, evaluation_id)
    return render(evaluation, decision, read_sources(storage, evaluation, evaluation_id, decision, settings))


def _shows_erased(storage: Storage, html: str) -> bool:
    return any(storage.exists(layout.erasure(sha256)) for sha256 in set(SHOWN_PICTURE.findall(html)))
