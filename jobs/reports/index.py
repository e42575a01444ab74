"""The list of all reports of a model, newest first: `evaluations/<model>/index.html`, with links that need no server."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from contract import layout
from contract.errors import DamagedDocument, pass_over
from contract.evaluations import find_evaluation, list_newest_first
from contract.stores.store import Storage
from jobs.reports.page import render_template
from jobs.reports.sources import find_decision
from jobs.reports.view import order_versions

MOST = 500
AT_ONCE = 16


def write(storage: Storage, model: str) -> str:
    """Renders the list again and returns where it lies."""
    names = list_newest_first(storage, model)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = [row for row in pool.map(lambda name: _row(storage, model, name), names[:MOST]) if row]
    key = layout.report_index(model)
    page = render_template("index.html", {"model": model, "rows": rows, "omitted": max(len(names) - MOST, 0)})
    storage.put(key, page.encode())
    return storage.uri(key)


def _row(storage: Storage, model: str, name: str) -> dict[str, Any] | None:
    try:
        evaluation = find_evaluation(storage, model, name)
    except DamagedDocument as error:
        pass_over(error)
        return {"id": name, "damaged": str(error).removeprefix(f"{storage.root}/")}
    if evaluation is None:
        return None
    decision = find_decision(storage, model, name)
    order = order_versions(evaluation, decision)
    return {"id": name, "damaged": "", "window": evaluation["window"], "as_of": evaluation["as_of"],
            "version": order[0] if order else None,
            "figures": evaluation["versions"][order[0]] if order else None, "verdict": decision and decision["verdict"],
            "partial": bool(evaluation["partial"]), "report": storage.exists(layout.report(model, name))}
