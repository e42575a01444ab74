"""What all pages share: templates, security headers, refusals that a person can read, who is at work, the queues."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar
from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contract import errors
from contract.evaluations import list_known_models
from contract.registry import Registry
from contract.settings import Settings
from contract.stores.store import Storage
from contract.texts.figures import write_moment, write_number
from inference.auth import NAME_COOKIE, SESSION_COOKIE, Caller, Keys, NoAuth, Refused, make_csrf_token
from inference.daemon_pool import DaemonPool, run_within
from inference.labelling.documents import BatchHolder
from inference.labelling.gold import GoldItems
from inference.labelling.holding import list_held
from inference.labelling.listed import is_outdated, open_queue
from inference.labelling.populations import list_models_with_samples
from inference.labelling.queue import HoldsItsShare, Queue
from inference.labelling.repeats import BlindRepeats
from inference.live.model import LiveModel
from inference.outbox.outbox import Outbox
from inference.pages.landing import list_allowed_pages
from inference.pages.problems import wants_page
from inference.telemetry import Metrics, log_event

P = ParamSpec("P")
Result = TypeVar("Result")
HERE = Path(__file__).parent
QUEUES = 32
STORE_S = 10.0
RETRY_LATER = {"Retry-After": "10"}
POOL = DaemonPool(8, "pages")
CSP = ("default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
       "frame-ancestors 'none'")
HEADERS = {"Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
           "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
STATUS = {errors.NotFound: 404, errors.NoSuchModel: 404, errors.NoSuchVersion: 404, errors.UsageError: 422,
          errors.BadLabel: 422, errors.Mismatch: 409, errors.DamagedDocument: 409, HoldsItsShare: 429}


class Service(Protocol):
    """What the pages need of the service core."""

    storage: Storage
    settings: Settings
    default_model: str
    metrics: Metrics
    outbox: Outbox

    @property
    def models(self) -> Mapping[str, LiveModel]:
        """The models that it answers for now, by name."""

    async def label(self, judgements: list[dict[str, Any]], *, caller: Caller, origin: str,
                    labeler_default: str | None = None, strategy: str | None = None,
                    selection_probability: float | None = None, saw_prediction: bool | None = None,
                    shown_label: str | None = None, day: str | None = None) -> list[str]:
        """Makes judgements durable and returns their ids."""


class Site:
    """The pages of one service."""

    def __init__(self, service: Service, keyring: Keys, open_batches: int) -> None:
        """`open_batches`: of one sample, that a key may hold."""
        self.service, self.keyring, self.open_batches = service, keyring, open_batches
        self.templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True,
                                     undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self.templates.filters["path"] = lambda text: quote(str(text), safe="")
        self.templates.filters["number"] = write_number
        self.templates.filters["moment"] = write_moment
        self._queues: OrderedDict[tuple[str, str, str, str], Queue] = OrderedDict()
        self._gold: dict[str, GoldItems] = {}
        self._repeats: dict[str, BlindRepeats] = {}

    @property
    def storage(self) -> Storage:
        """The root that the service works on."""
        return self.service.storage

    @property
    def open_to_all(self) -> bool:
        """Whether there are no keys (--no-auth)."""
        return isinstance(self.keyring, NoAuth)

    def find_csrf_token(self, request: Request) -> str:
        """Makes the CSRF token of the request's session, '' without one. A session that was let in needs no store."""
        cookie = request.cookies.get(SESSION_COOKIE)
        if not cookie or isinstance(self.keyring, NoAuth):
            return ""
        secret = self.keyring.peek_session_secret()
        return make_csrf_token(secret, cookie) if secret else ""

    def render(self, request: Request, template: str, caller: Caller | None, status: int = 200,
               **context: Any) -> HTMLResponse:
        """Renders a page, with the headers that keep it from being framed, sniffed or scripted from elsewhere."""
        text = self.templates.get_template(template).render(
            navigation=list_allowed_pages(caller), path=request.url.path, caller=caller,
            csrf=self.find_csrf_token(request),
            open_to_all=self.open_to_all, given_name=unquote(request.cookies.get(NAME_COOKIE, "")), **context)
        return HTMLResponse(text.encode("utf-8", "replace"), status, headers=HEADERS)

    # -- what pages ask for -----------------------------------------------------------------------------------------

    def list_models(self) -> list[str]:
        """Lists the models that were published or evaluated under the root, the default one first."""
        first = self.service.default_model
        return [first, *[m for m in list_known_models(self.storage) if m != first]]

    def list_classes(self, model: str) -> list[str]:
        """Reads the class list of what is live; of a model that is in no registry what it predicted on days that people are
        asked about. Empty where its documents are damaged."""
        registry = Registry(self.storage, model)
        try:
            newest, _ = registry.newest_known()
            if newest and newest.state.live:
                return registry.card(newest.state.live).classes
            return sorted({c for at, queue in list(self._queues.items()) if at[0] == model for c in queue.list_predicted()})
        except errors.NoSuchVersion:
            return []
        except errors.Mismatch as error:  # people can judge without a list to choose from
            log_event("classes cannot be read", logging.ERROR, model=model, error=str(error))
            return []

    def find_queue(self, model: str, day: str, kind: str, population: str = "live") -> Queue | None:
        """Finds the review queue of a sample; None when that sample was never drawn."""
        key = (model, day, kind, population)
        if key not in self._queues or is_outdated(self._queues[key]):
            queue = open_queue(self.storage, model, day, kind, population, self._find_gold(model),
                               self._find_repeats(model))
            if queue is None:
                return None
            self._queues[key] = queue
            while len(self._queues) > QUEUES:
                self._queues.popitem(last=False)
        return self._queues[key]

    def _find_gold(self, model: str) -> GoldItems:
        """Finds the gold items of a model, which all its queues share."""
        if model not in self._gold:
            settings = self.service.settings
            self._gold[model] = GoldItems(self.storage, model, settings.review.gold_share,
                                          timedelta(days=settings.serve.label_days))
        return self._gold[model]

    def _find_repeats(self, model: str) -> BlindRepeats:
        """Finds the blind repeats of a model, which all its queues share."""
        if model not in self._repeats:
            review = self.service.settings.review
            self._repeats[model] = BlindRepeats(self.storage, model, review.blind_share, timedelta(days=review.blind_after_days))
        return self._repeats[model]

    def release_batches(self, holder: BatchHolder) -> None:
        """Gives back what a person holds, whichever replica handed it out."""
        for sample in list_held(self.storage, list_models_with_samples(self.storage), holder):
            if (queue := self.find_queue(*sample)) is not None:
                queue.release(holder)


def shows_page(request: Request) -> bool:
    """Says whether GET of a page's address means the page: always, but for a program that says that it is one."""
    accept = request.headers.get("accept", "")
    return wants_page(request) or not (request.query_params.get("format") == "json" or "application/json" in accept)


@contextmanager
def refuse_errors() -> Iterator[None]:
    """Turns errors of the library into HTTP refusals."""
    try:
        yield
    except (json.JSONDecodeError, UnicodeDecodeError) as error:  # of a request both are refused where it is read
        log_event("document is damaged", logging.ERROR, error=f"{type(error).__name__}: {error}")
        raise Refused(409, "damaged", f"a document that this needs cannot be read: {error}") from error
    except errors.TrueupError as error:
        status = next((s for kind, s in STATUS.items() if isinstance(error, kind)), None)
        if status is None:
            raise
        raise Refused(status, error.http_code, str(error)) from error


async def run_in_thread(function: Callable[P, Result], *arguments: P.args, **options: P.kwargs) -> Result:
    """Runs a function that reads the store beside the event loop; its errors become refusals.

    Refused (503) after STORE_S: a store that hangs holds pages for so long, and nothing else of the service.
    """
    try:
        with refuse_errors():
            return await run_within(POOL, STORE_S, function, *arguments, **options)
    except (TimeoutError, errors.RootError) as error:  # what it says of the bucket is for the log
        log_event("store unavailable", logging.WARNING, error=f"{type(error).__name__}: {error}")
        raise Refused(503, "store_unavailable", "the store does not answer. Try again later.", RETRY_LATER) from None
