"""`/reports`: the evaluations of a model, newest first, each with its report, which is rendered when it is missing."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from contract import layout
from contract.deciding.formats import list_answering
from contract.documents.version_figures import Version
from contract.errors import Mismatch, NotFound, shorten
from contract.evaluations import (
    UNDECIDED,
    find_evaluation,
    find_other_rules,
    find_verdict,
    is_stale,
    list_newest_first,
    say_stale,
)
from contract.registry import Registry
from contract.report_script import csp_source
from contract.rows.replay import list_replays
from contract.storage import read_json
from contract.stores.store import Storage
from contract.texts.figures import write_count, write_figure, write_interval, write_moment, write_share
from inference.auth import Caller, Refused, require
from inference.pages.site import HEADERS, Site, run_in_thread

SHOWN = 30
READS_AT_ONCE = 8
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
        replays = await run_in_thread(_list_replays, site.storage, name)
        verdict = await run_in_thread(_describe_verdict, site.storage, name, site.service.settings.gates.max_age_days)
        return site.render(request, "reports.html", caller, names=names, name=name, evaluations=evaluations,
                           shown=SHOWN, now=verdict, replays=replays)

    @router.get("/reports/replays/{model}/{replay}/{file}")
    async def replayed(model: str, replay: str, file: str, caller: Caller = Depends(require("read"))) -> Response:
        extension = file.rpartition(".")[2]
        named = re.fullmatch(r"\w[\w-]*", replay) and re.fullmatch(r"\w[\w.-]*", file)
        data = await run_in_thread(_read_replay, site, model, replay, file) if named and extension in FILES else None
        if data is None:
            raise Refused(404, "no_report", "there is no such replay. Those that there are stand at /reports.")
        return Response(data, media_type=FILES[extension], headers=HEADERS | {"Content-Security-Policy": REPORT_CSP})

    @router.get("/reports/{model}/{evaluation}/{file}")
    async def report(model: str, evaluation: str, file: str, caller: Caller = Depends(require("read"))) -> Response:
        extension = file.rpartition(".")[2]
        named = re.fullmatch(r"[\w.:+-]+", evaluation) and re.fullmatch(r"\w[\w.-]*", file) and ".." not in evaluation
        if not named or extension not in FILES:
            raise Refused(404, "no_report", "there is no such report.")
        data = await run_in_thread(_read_file, site, model, evaluation, file)
        if data is None:
            raise Refused(404, "no_report", f"the evaluation {evaluation} of model {shorten(model)} has no {shorten(file)}. "
                          "Those that there are stand at /reports.")
        return Response(data, media_type=FILES[extension], headers=HEADERS | {"Content-Security-Policy": REPORT_CSP})

    return router


def _read_file(site: Site, model: str, evaluation: str, file: str) -> bytes | None:
    """Reads a file of an evaluation; a report that was never written, or that went with an erased picture, is rendered now."""
    try:
        return site.storage.read(layout.evaluation(model, evaluation) + file)
    except NotFound:
        if layout.evaluation(model, evaluation) + file != layout.report(model, evaluation):
            return None
    from jobs.reports.written import give_report

    try:
        return give_report(site.storage, model, evaluation, site.service.settings.report).encode()
    except NotFound:
        return None


def _read_replay(site: Site, model: str, replay: str, file: str) -> bytes | None:
    """Reads a file of a replay; a page that was never written, or that went with an erased picture, is rendered now."""
    try:
        return site.storage.read(layout.replay(model, replay) + file)
    except NotFound:
        if layout.replay(model, replay) + file != layout.replay_page(model, replay):
            return None
    from jobs.reports.replay import give_replay_page

    try:
        return give_replay_page(site.storage, model, replay).encode()
    except NotFound:
        return None


def _list_replays(storage: Storage, model: str) -> list[dict[str, Any]]:
    """Lists what the page says of the newest replays of a model, newest first."""
    return [{"id": name, "version": found.version, "window": found.window, "as_of": found.as_of, "replayed": found.replayed,
             "predictions": found.predictions, "agreement": write_figure(found.agreement)}
            for name, found in list_replays(storage, model, SHOWN)]


def _list_comparisons(storage: Storage, model: str, name: str) -> list[dict[str, str]]:
    """Lists the comparisons that lie beside an evaluation: each file, and what it was compared with."""
    folder = layout.evaluation(model, name)
    files = sorted(entry.key.removeprefix(folder) for entry in storage.list(folder))
    found = [(file, layout.find_comparison(file)) for file in files]
    return [{"file": file, "with": f"version {of[2]}, {of[1]}" if of[2] else of[1]} for file, of in found if of]


def _describe_verdict(storage: Storage, model: str, max_age_days: float | None) -> dict[str, str]:
    """Returns what the gates say of the version that is live now; of a report they say nothing (contract.evaluations)."""
    newest, wrong = Registry(storage, model).newest_known()
    live = newest.state.live if newest else None
    damaged = [wrong] if wrong else []  # a damaged evaluation or decision is named in the list, too
    try:
        found = find_verdict(storage, model, list_answering(newest.state if newest else None), damaged)
    except (Mismatch, NotFound, ValueError, KeyError) as error:
        return {"verdict": "", "sentence": f"No verdict can be read: {error}"}
    what = f"version {live}" if live else "any version"
    passed = f" {write_count(len(damaged), 'document')} that may say otherwise cannot be read." if damaged else ""
    if found is None:
        why = find_other_rules(storage, model) or f"run trueup gate --model {model}."
        return {"verdict": "", "sentence": f"No gate has judged {what} yet: {why}{passed}"}
    if is_stale(found, max_age_days):
        return {"verdict": UNDECIDED, "sentence": f"{say_stale(found)}{passed}"}
    known_at = f" (Known at {write_moment(found['as_of'])}.)" if found.get("as_of") else ""
    return {"verdict": str(found["verdict"]), "sentence": f"{found['sentence']}{known_at}{passed}"}


def _list_evaluations(storage: Storage, model: str) -> list[dict[str, Any]]:
    names = list_newest_first(storage, model)[:SHOWN]
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        found = pool.map(lambda name: _summarise(storage, model, name), names)
        return [summary for summary in found if summary is not None]


def _summarise(storage: Storage, model: str, name: str) -> dict[str, Any] | None:
    """Returns what the list says of an evaluation, of a damaged one that it is; None while its document is not there."""
    try:
        evaluation = find_evaluation(storage, model, name)
        decision = _read_decision(storage, model, name)
    except (Mismatch, ValueError) as error:
        return {"id": name, "damaged": str(error).removeprefix(f"{storage.root}/")}
    if evaluation is None:
        return None
    judged = str(decision.get("version", ""))
    versions = evaluation["versions"]
    order = sorted(versions, key=lambda v: (v == judged, int(v) if v.isdecimal() else -1, v), reverse=True)
    return {"id": name, "as_of": evaluation["as_of"], "window": evaluation["window"],
            "versions": [_format_figures(v, versions[v]) for v in order],
            "doubts": [doubt["sentence"] for doubt in evaluation["doubts"]], "reason": evaluation.get("reason") or "",
            "verdict": str(decision.get("verdict", "")), "judged": judged,
            "sentence": str(decision.get("sentence", "")), "damaged": "",
            "engine": evaluation["engine"], "role": evaluation["role"],
            "comparisons": _list_comparisons(storage, model, name)}


def _format_figures(version: str, figures: Version) -> dict[str, Any]:
    estimate = figures["estimate"]
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    accuracy = interval = None
    if value is not None and low is not None and high is not None:
        accuracy, interval = write_share(estimate), write_interval(estimate)
    return {"version": version, "predictions": figures["predictions"], "labelled": figures["labelled"],
            "accuracy": accuracy, "interval": interval, "origin": estimate["origin"] or "",
            "reason": estimate.get("reason") or "not known"}


def _read_decision(storage: Storage, model: str, name: str) -> dict[str, Any]:
    """Reads what the gates decided; empty where nothing was. DamagedDocument where it is no object."""
    try:
        return read_json(storage, layout.decision(model, name))
    except NotFound:
        return {}
