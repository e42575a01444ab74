"""What administrators decide on `/models`: each decision is confirmed on a page of its own, which says from what to what.

    GET  /models/decide?model=M&kind=promote&version=3     the confirmation
    POST /models/decide                                    does it, or keeps it for a second administrator
    POST /models/proposals                                 the second one approves, or declines

The functions are those of `trueup model` (contract/deciding). A key must have been shown in the last minutes
(inference/versions/fresh.py), and without keys nothing is decided here: nobody could say who did.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from contract.deciding import proposals
from contract.deciding.asking import Ask
from contract.deciding.wanted import GATES, KINDS, LONGEST_REASON, OF_VERSIONS, Wanted, carry_out
from contract.errors import PointerMoved, RootError, TrialFailed, TrueupError, shorten
from contract.registry import Registry
from inference.auth import Caller, NoAuth, Refused, read_form, require
from inference.daemon_pool import DaemonPool, run_within
from inference.pages.problems import wants_page
from inference.pages.site import STATUS, Site, refuse_errors, run_in_thread
from inference.telemetry import log_event
from inference.versions import asking
from inference.versions.fresh import is_fresh

POOL = DaemonPool(2, "decisions")
# A trial takes as long as a service may take to start and to answer; what is decided within it is never left half-way.
LONGEST_S = 300.0
NOT_DONE = {PointerMoved: 409, TrialFailed: 409}
FIELDS = ("model", "kind", "version", "gate", "until", "reason")


def make_router(site: Site) -> APIRouter:
    """Makes the routes of the confirmation, the decision, and the second administrator's answer."""
    router = APIRouter()
    busy = threading.Lock()

    @router.get("/models/decide")
    async def confirm(request: Request, caller: Caller = Depends(require("admin"))) -> Response:
        asked = {name: request.query_params.get(name, "")[:LONGEST_REASON] for name in FIELDS}
        if (page := await _ask_for_key(site, request, caller, _make_address(asked))) is not None:
            return page
        return await _show_confirmation(site, request, caller, asked)

    @router.post("/models/decide")
    async def decide(request: Request, caller: Caller = Depends(require("admin"))) -> Response:
        fields = await read_form(request)
        asked = {name: fields.get(name, "").strip() for name in FIELDS}
        if (page := await _ask_for_key(site, request, caller, _make_address(asked))) is not None:
            return page
        wanted = _read_wanted(asked, fields)
        registry = _open_registry(site, asked["model"])
        if site.service.settings.serve.second_approver:
            return await _finish(site, request, caller, registry, "asked", lambda: proposals.propose(registry, wanted, caller.id))
        ask = _make_ask(site, registry)
        return await _finish(site, request, caller, registry, "done", lambda: _run_alone(
            busy, lambda: carry_out(registry, wanted, by=caller.id, ask=ask).record.seq))

    @router.post("/models/proposals")
    async def answer(request: Request, caller: Caller = Depends(require("admin"))) -> Response:
        fields = await read_form(request)
        registry, n = _open_registry(site, fields.get("model", "").strip()), _read_number(fields.get("n", ""))
        if (page := await _ask_for_key(site, request, caller, f"/models?{urlencode({'model': registry.model})}")) is not None:
            return page
        if fields.get("answer", "") == "decline":
            return await _finish(site, request, caller, registry, "declined", lambda: _decline(registry, n, caller.id))
        ask = _make_ask(site, registry)
        return await _finish(site, request, caller, registry, "done", lambda: _run_alone(
            busy, lambda: proposals.approve_proposal(registry, n, caller.id, ask).record.seq))

    return router


async def _ask_for_key(site: Site, request: Request, caller: Caller, then: str) -> Response | None:
    """Returns the page that asks for the key once more; None when it was shown a short while ago. Refused without keys."""
    if isinstance(site.keyring, NoAuth):
        raise Refused(403, "no_keys", "without keys (--no-auth) nothing is decided on this page: the history could not say by "
                      "whom. Use the command line: trueup model --help.")
    if await is_fresh(request, site.keyring):
        return None
    if not wants_page(request):
        raise Refused(403, "login_too_old", "expected a session that was opened in the last 10 minutes. Log in again.")
    return site.render(request, "sign_in_again.html", caller, 403, next=then)


async def _show_confirmation(site: Site, request: Request, caller: Caller, asked: dict[str, str]) -> Response:
    registry = _open_registry(site, asked["model"])
    asked["model"] = registry.model
    newest = await run_in_thread(registry.newest)
    if asked["kind"] not in KINDS or newest is None:
        raise Refused(422, "bad_decision", f"expected a decision ({', '.join(KINDS)}) on a model that was published, got "
                      f"{shorten(asked['kind'])} on {shorten(asked['model'])}.")
    if asked["kind"] in OF_VERSIONS:
        await run_in_thread(registry.card, asked["version"])
    return site.render(request, "decide.html", caller, asked=asked, live=newest.state.live, seq=newest.seq, gates=GATES,
                       of_versions=OF_VERSIONS, longest=LONGEST_REASON, four_eyes=site.service.settings.serve.second_approver)


def _open_registry(site: Site, model: str) -> Registry:
    """Opens the registry of a model, of the default one where none is named. Refused (422) for an impossible name."""
    with refuse_errors():
        return Registry(site.storage, model or site.service.default_model)


def _read_wanted(asked: dict[str, str], fields: dict[str, str]) -> Wanted:
    if asked["kind"] not in KINDS:
        raise Refused(422, "bad_decision", f"expected one of {', '.join(KINDS)}, got {shorten(asked['kind'])}.")
    return Wanted.model_validate({name: asked[name] or None for name in FIELDS[1:-1]} | {
        "reason": asked["reason"], "live": fields.get("live", "") or None, "seq": _read_number(fields.get("seq", ""))})


def _read_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise Refused(422, "bad_number", f"expected a number, got {shorten(text)}. Go back to /models and decide there.")
    return int(text)


def _make_ask(site: Site, registry: Registry) -> Ask:
    return lambda version: asking.find_silence(site.service.settings, registry, version)


def _decline(registry: Registry, n: int, by: str) -> int:
    proposals.decline_proposal(registry, n, by)
    return n


def _run_alone(busy: threading.Lock, work: Callable[[], int]) -> int:
    """Runs one decision at a time: a trial takes the memory of a second service."""
    if not busy.acquire(blocking=False):
        raise PointerMoved("another decision is being carried out here at this moment. Nothing was done. Look at /models in a "
                           "minute.")
    try:
        return work()
    finally:
        busy.release()


async def _finish(site: Site, request: Request, caller: Caller, registry: Registry, word: str,
                  work: Callable[[], int]) -> Response:
    """Runs what was decided and leads back to /models; where nothing was done, a page says so and why."""
    try:
        number = await run_within(POOL, LONGEST_S, work)
    except TimeoutError:
        raise Refused(504, "not_known", "it took too long, and whether it was done is not known. The history on /models will "
                      "say.") from None
    except RootError as error:  # what it says of the bucket is for the log
        log_event("decision failed", model=registry.model, by=caller.id, error=str(error))
        raise Refused(503, "store_unavailable", "the store did not take it: it does not answer, or this service may not write a "
                      "model's history there. The command line can: trueup model --help.") from None
    except TrueupError as error:
        status = next((s for kind, s in {**NOT_DONE, **STATUS}.items() if isinstance(error, kind)), 409)
        log_event("decision refused", model=registry.model, by=caller.id, error=str(error))
        if not wants_page(request):
            raise Refused(status, error.http_code, str(error)) from error
        return site.render(request, "not_done.html", caller, status, model=registry.model,
                           message=str(error).replace(f"{site.storage.root}/", ""))
    log_event("decided", model=registry.model, by=caller.id, what=word, number=number)
    return RedirectResponse(f"/models?{urlencode({'model': registry.model, word: number})}", 303)


def _make_address(asked: dict[str, Any]) -> str:
    return f"/models/decide?{urlencode({name: value for name, value in asked.items() if value})}"
