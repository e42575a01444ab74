"""A class that the model does not have is asked about before it is made: a slip of the hand would stay a class for ever."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Request
from fastapi.responses import Response

from contract.counts import UNNAMED
from contract.labels import normalise
from inference.auth import Caller
from inference.labelling.documents import BatchHolder
from inference.labelling.history import identify
from inference.labelling.queue import Queue
from inference.pages import queue_page
from inference.pages.site import Site, refuse_errors, run_in_thread


def list_known_classes(site: Site, queue: Queue, model: str, holder: BatchHolder) -> set[str]:
    """Lists the classes of the model, and those that this person named in this sample; what others said is not told."""
    mine = {label for _, d in queue.list_answers() if identify(d.holder) == identify(holder) for label in d.answers.values()}
    return {*site.list_classes(model), *(label for label in mine if label not in (None, UNNAMED))}


async def ask_for_new_classes(site: Site, request: Request, caller: Caller, kind: str, form: dict[str, str],
                              typed: Iterable[str | None], back: str) -> Response | None:
    """Shows the question, with the whole form in it; None where nothing is to be asked: all are known, or it was asked before.

    A model without a list of classes knows none that could be missed.
    """
    names = [name for name in typed if name]
    if "new" in form or not names:
        return None
    queue, n = await queue_page.find_batch(site, kind, form)
    batch = await run_in_thread(queue.find_batch, n)
    if not await run_in_thread(site.list_classes, queue.sample.model):
        return None
    known = await run_in_thread(list_known_classes, site, queue, queue.sample.model, batch.holder)
    with refuse_errors():
        new = sorted({normalise(name) for name in names} - known)
    choice = queue_page.Choice(queue.sample.model, kind, [], queue.sample.day, queue, queue.sample.population)
    return site.render(request, "new_class.html", caller, choice=choice, names=new, fields=list(form.items()),
                       back=back) if new else None
