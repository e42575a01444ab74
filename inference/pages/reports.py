"""`/reports`: the evaluations of a model, newest first, and each report as it was written."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from contract import jsonio, layout
from contract.documents.evaluation import Version
from contract.errors import NotFound
from contract.evaluations import find_evaluation
from contract.report_script import csp_source
from contract.stores.store import Storage
from inference.auth import Caller, Refused, require
from inference.pages.site import HEADERS, Site, run_in_thread

SHOWN = 30
FILES = {"html": "text/html; charset=utf-8", "json": "application/json", "parquet": "application/octet-stream"}
# A report is one file with its pictures in it. The one script that may run is the one that sorts its tables; the sandbox
# keeps even that from the cookies of this site.
REPORT_CSP = (f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {csp_source()}; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
              "sandbox allow-scripts allow-top-navigation-by-user-activation")


def make_router(site: Site) -> APIRouter:
    """Makes the routes of the list and of the files of each evaluation."""
    router = APIRouter()

    @router.get("/reports")
    async def reports(request: Request, caller: Caller = Depends(require("read"))) -> Response:
        names = await run_in_thread(site.list_models)
        name = request.query_params.get("model") or names[0]
        evaluations = await run_in_thread(_list_evaluations, site.storage, name)
        return site.render(request, "reports.html", caller, names=names, name=name, evaluations=evaluations,
                           shown=SHOWN)

    @router.get("/reports/{model}/{evaluation}/{file}")
    async def report(model: str, evaluation: str, file: str, caller: Caller = Depends(require("read"))) -> Response:
        extension = file.rpartition(".")[2]
        named = re.fullmatch(r"[\w.:+-]+", evaluation) and re.fullmatch(r"\w[\w.-]*", file) and ".." not in evaluation
        if not named or extension not in FILES:
            raise Refused(404, "no_report", "there is no such report.")
        data = await run_in_thread(site.storage.read, layout.evaluation(model, evaluation) + file)
        return Response(data, media_type=FILES[extension], headers=HEADERS | {"Content-Security-Policy": REPORT_CSP})

    return router


def _list_evaluations(storage: Storage, model: str) -> list[dict[str, Any]]:
    names: list[str] = sorted(storage.folders(layout.evaluations(model)), reverse=True)[:SHOWN]
    return [summary for name in names if (summary := _summarise(storage, model, name)) is not None]


def _summarise(storage: Storage, model: str, name: str) -> dict[str, Any] | None:
    """Returns what the list says of an evaluation; None while its document is not there."""
    evaluation = find_evaluation(storage, model, name)
    if evaluation is None:
        return None
    verdict, judged = _read_verdict(storage, model, name)
    versions = evaluation["versions"]
    order = sorted(versions, key=lambda v: (v == judged, int(v) if v.isdecimal() else -1, v), reverse=True)
    return {"id": name, "as_of": evaluation["as_of"], "window": evaluation["window"],
            "versions": [_format_figures(v, versions[v]) for v in order],
            "reason": evaluation.get("reason") or "", "verdict": verdict, "judged": judged,
            "report": storage.exists(layout.report(model, name))}


def _format_figures(version: str, figures: Version) -> dict[str, Any]:
    estimate = figures["estimate"]
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    accuracy = interval = None
    if value is not None and low is not None and high is not None:
        accuracy, interval = f"{value:.1%}", f"{low:.1%} – {high:.1%}"
    return {"version": version, "predictions": figures["predictions"], "labelled": figures["labelled"],
            "accuracy": accuracy, "interval": interval, "origin": estimate["origin"] or "",
            "reason": estimate.get("reason") or "not known"}


def _read_verdict(storage: Storage, model: str, name: str) -> tuple[str, str]:
    """Reads the verdict and the version that it is of; empty where nothing was decided."""
    try:
        decision = jsonio.loads(storage.read(layout.decision(model, name)))
    except NotFound:
        return "", ""
    return str(decision.get("verdict", "")), str(decision.get("version", ""))
