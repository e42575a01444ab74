"""`/me`: what a labeler answered by day, how well they agree with others, and what waits for them.

It shows counts of their own and shares over a whole window, never what anybody else said of a picture.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from contract import samples
from contract.errors import NotFound, TrueupError, pass_over
from contract.evaluations import find_newest_readable, read_evaluation
from contract.texts.asked import explain_asking
from contract.texts.figures import write_figure
from inference.auth import Caller, require
from inference.labelling.documents import BatchHolder
from inference.labelling.history import count_days
from inference.labelling.populations import list_populations
from inference.labelling.queue import HOLD_MINUTES, Queue, list_days_with_sample
from inference.pages.site import Site, refuse_errors, run_in_thread
from inference.pages.visitor import identify_holder, remember_visitor

SAMPLE_DAYS = 14
LEAST_PAIRS = 10  # with fewer the figure would tell what another person said of a picture


def make_router(site: Site) -> APIRouter:
    """Makes the route of the labeler's page; ?model= chooses another model than the default one."""
    router = APIRouter()

    @router.get("/me")
    async def me(request: Request, caller: Caller = Depends(require("label"))) -> Response:
        with refuse_errors():
            holder = identify_holder(request, caller)
        model = request.query_params.get("model") or site.service.default_model
        found = await run_in_thread(describe, site, model, holder)
        page = site.render(request, "me.html", caller, model=model, holder=holder, minutes=HOLD_MINUTES,
                           sample_days=SAMPLE_DAYS, **found)
        return remember_visitor(request, page, holder)

    return router


def describe(site: Site, model: str, holder: BatchHolder) -> dict[str, Any]:
    """Describes a labeler's work on a model: `days` (newest first), `waiting` by sample, `agreement` or a reason."""
    told: Counter[tuple[str, str]] = Counter()
    waiting = []
    for kind, day, queue in _list_queues(site, model):
        queue.refresh()
        for (on, could_tell), n in count_days(queue.list_answers(), holder).items():
            told[on, kind if could_tell else "untold"] += n
        mine = queue.find_open_batch(holder)
        left = len(mine[1].items) - len(queue.find_answers(mine[0])) if mine else 0
        if n := left + len(queue.list_waiting(holder)):
            waiting.append({"kind": kind, "day": day, "of": queue.sample.population, "n": n, "held": left,
                            "why": explain_asking(queue.sample), "until": mine[1].expires_at if mine else None})
    days = [{"day": day, **{kind: told[day, kind] for kind in (*samples.KINDS, "untold")}}
            for day in sorted({day for day, _ in told}, reverse=True)]
    return {"days": days, "waiting": waiting, "agreement": _read_agreement(site, model, holder)}


def _list_queues(site: Site, model: str) -> list[tuple[str, str, Queue]]:
    found = []
    for kind, of in product(samples.KINDS, list_populations(site.storage, model)):
        for day in list_days_with_sample(site.storage, model, kind, of)[:SAMPLE_DAYS]:
            try:
                queue = site.find_queue(model, day, kind, of)
            except TrueupError as error:  # one sample that cannot be read stops no other
                pass_over(error)
                continue
            found += [(kind, day, queue)] if queue else []
    return found


def _read_agreement(site: Site, model: str, holder: BatchHolder) -> dict[str, Any]:
    """Reads from the newest evaluation how often this person's votes agree with other people's on the same prediction.

    A `reason` and no `figure` where nobody evaluated yet, or there are fewer than LEAST_PAIRS pairs.
    """
    try:
        name = find_newest_readable(site.storage, model)
        evaluation = read_evaluation(site.storage, model, name)
    except NotFound:
        return {"figure": None, "reason": "nobody evaluated this model yet", "window": None}
    mine = next((who for who in evaluation["labelers"] if who["labeler"] == holder.labeler), None)
    window = f"{evaluation['window']['from']} to {evaluation['window']['to']}"
    if mine is None or mine["pairs"] < LEAST_PAIRS:
        return {"figure": None, "reason": f"fewer than {LEAST_PAIRS} pictures that you judged were judged by others, too",
                "window": window}
    return {"figure": write_figure(mine["agreement"]), "pairs": mine["pairs"], "agreeing": mine["agreeing_pairs"],
            "votes": mine["votes"], "window": window}
