"""`/overview`: every model on one screen, read anew every few seconds by the page itself."""

from __future__ import annotations

from collections import deque
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from contract import clock, samples
from contract.errors import TrueupError
from contract.evaluations import list_known_models
from contract.texts.figures import write_bound, write_figure, write_percent
from inference.auth import Caller, require
from inference.labelling.populations import list_populations
from inference.labelling.queue import list_days_with_sample
from inference.outbox.tables import Depth
from inference.overview.facts import Facts
from inference.pages.site import Site, run_in_thread

MOST_MODELS, SAMPLE_DAYS = 12, 7
RATE_S = 60.0  # the rate of requests is of so many seconds, as far as somebody looked


def make_router(site: Site) -> APIRouter:
    """Makes the route of the overview; `?part=models` is what the page fetches to show what is new."""
    router = APIRouter()
    facts = Facts(site.storage, site.service.settings.gates.max_age_days)
    rate = Rate()

    @router.get("/overview")
    async def overview(request: Request, caller: Caller = Depends(require("read"))) -> Response:
        names = (await run_in_thread(_list_models, site))[:MOST_MODELS]
        models = [await run_in_thread(_describe, site, facts, name) for name in names]
        depth = await run_in_thread(site.service.outbox.measure_depth)
        template = "_overview.html" if request.query_params.get("part") == "models" else "overview.html"
        return site.render(request, template, caller, models=models, service=_describe_service(site, rate, depth),
                           at=clock.iso(clock.now()), may_label=caller.may("label"), write_figure=write_figure,
                           write_percent=write_percent, write_bound=write_bound)

    return router


class Rate:
    """Predictions a minute, from the count at each look."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, float]] = deque(maxlen=200)

    def measure(self, count: float) -> float | None:
        """Notes how many there are now; None until somebody looked at least a second before."""
        now = clock.monotonic()
        self._looks.append((now, count))
        while now - self._looks[0][0] > RATE_S and len(self._looks) > 2:
            self._looks.popleft()
        then, before = self._looks[0]
        return (count - before) * 60 / (now - then) if now - then >= 1 else None


def _list_models(site: Site) -> list[str]:
    """Lists the models that were published or evaluated, the default one first; that one alone where there is none."""
    names, known = site.list_models(), list_known_models(site.storage)
    return [name for name in names if name in known] or names


def _describe(site: Site, facts: Facts, name: str) -> dict[str, Any]:
    return facts.describe(name) | {"waiting": [w for kind in samples.KINDS if (w := _count_waiting(site, name, kind))]}


def _list_newest(site: Site, model: str, kind: str) -> list[tuple[str, str]]:
    """Lists (population, day) of the newest samples of each population."""
    return [(of, day) for of in list_populations(site.storage, model)
            for day in list_days_with_sample(site.storage, model, kind, of)[:SAMPLE_DAYS]]


def _count_waiting(site: Site, model: str, kind: str) -> dict[str, Any] | None:
    """Counts what waits for an answer on the newest days with a sample; None when nothing does."""
    waiting, newest = 0, None
    for population, day in _list_newest(site, model, kind):
        try:
            queue = site.find_queue(model, day, kind, population)
        except TrueupError:  # the page of that sample says what is wrong
            continue
        if queue is None:
            continue
        queue.refresh()  # others answer at other replicas
        if n := queue.count_progress()["waiting"]:
            waiting, newest = waiting + n, newest or day
    return {"kind": kind, "n": waiting, "day": newest} if waiting else None


def _describe_service(site: Site, rate: Rate, depth: Depth) -> dict[str, Any]:
    """Describes this replica: predictions a minute, rows of its outbox, the age of the oldest in seconds."""
    answered = sum(sample.value for metric in site.service.metrics.predictions.collect() for sample in metric.samples
                   if sample.name.endswith("_total"))
    return {"per_minute": rate.measure(answered), "answered": answered, "rows": depth.rows,
            "age_s": depth.measure_age(clock.now_us())}
