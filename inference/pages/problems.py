"""Every answer of 4xx and 5xx: JSON for programs, a page for people that says what happened and what can be done.

    add_problem_handlers(app, site, {HTTPException: answer_refused})      # each handler makes the JSON answer

Neither says where the root lies: what an error of the store says of it is for the log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from contract.errors import TrueupError
from inference.auth import CALLER, Caller, Refused, answer_refusal, identify, make_error
from inference.pages.landing import find_landing

if TYPE_CHECKING:
    from inference.pages.site import Site

Handler = Callable[[Request, Exception], Awaitable[JSONResponse]]
# What programs ask. `Accept: text/html` does not make a page of these: a browser is shown what a program would get.
API = ("/v1/", "/health/", "/metrics", "/openapi.json")
AGAIN = "Try it again in a moment. If it stays so, whoever runs the service finds the reason in its log."
# Status: the headline, and what a person can do.
WORDS = {
    400: ("This request cannot be understood", "Check the address, or go back and try it again."),
    403: ("This is not allowed", "Log in with a key that may do it. An administrator makes one with "
                                 "`trueup keys add NAME --role ROLE`."),
    404: ("There is nothing here", "Check the address for a typing mistake, or choose a page from the menu."),
    405: ("This address does something else", "Open the page from the menu and use its buttons."),
    408: ("That took too long", "Check the connection, then try it again."),
    409: ("This cannot be done now", "Reload the page: something has changed since it was shown, or a document is damaged."),
    410: ("This is used up", "Ask whoever gave you the link for a new one."),
    413: ("That is too large", "Send less at once."),
    415: ("This kind of content is not taken", "Go back, reload the page and send its form again."),
    422: ("Something in the request is not right", "Correct it and try again."),
    429: ("Too much at once", "Wait for a moment, then go on."),
    500: ("Something went wrong here", "It was not your doing. Whoever runs the service finds the reason in its log."),
    503: ("The service cannot answer now", AGAIN),
}
# What helps with one code of a status differs from what helps with the others.
ADVICE = {"waits_for_audit": "Come back when the audit is answered.",
          "csrf": "Go back, reload the page and send it again.",
          "foreign_origin": "Open the page at this service's own address and send it from there.",
          "not_your_batch": "Open the page again: it has a batch of your own."}


def wants_page(request: Request) -> bool:
    """Says whether a browser wants a page: programs ask for JSON, show a key, or call the API."""
    wants_json = request.query_params.get("format") == "json" or "authorization" in request.headers
    sends_json = request.headers.get("content-type", "").startswith("application/json")
    accepts = "text/html" in request.headers.get("accept", "")
    return accepts and not wants_json and not sends_json and not request.url.path.startswith(API)


def add_problem_handlers(app: FastAPI, site: Site, handlers: Mapping[type[Exception], Handler]) -> None:
    """Gives the application the handlers of these errors, and of refusals; each answers people with a page."""
    every: dict[type[Exception], Handler] = {Refused: answer_refusal, **handlers}
    for kind, handler in every.items():
        app.add_exception_handler(kind, _make_handler(site, handler))


def _make_handler(site: Site, handler: Handler) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        made = await handler(request, error)
        problem = json.loads(bytes(made.body))["error"]
        message = hide_root(problem["message"], site.storage.root)
        headers = {name: value for name, value in made.headers.items() if name not in ("content-length", "content-type")}
        if not wants_page(request):
            return JSONResponse(make_error(problem["code"], message), made.status_code, headers)
        if made.status_code == HTTPStatus.UNAUTHORIZED:
            return lead_to_login(request)
        caller = await find_caller(request, made.status_code)
        if work := find_landing(request, caller, made.status_code, problem["code"]):
            return RedirectResponse(work, 303)
        return show_problem(site, request, caller, made.status_code, problem["code"], message, headers)

    return answer


def hide_root(message: str, root: str) -> str:
    """Takes the root's address out of a message, and of an object that is not there the key, too."""
    if message.startswith(root) and message.endswith(": no such object."):
        return "nothing of that name is there: it was never made, or was removed."
    return message.replace(f"{root}/", "").replace(f"{root}: ", "").replace(root, "the root")


def lead_to_login(request: Request) -> Response:
    """Leads somebody unknown to the login, and from there back."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(here if request.method == 'GET' else '/', safe='')}", 303)


async def find_caller(request: Request, status: int) -> Caller | None:
    """Finds who asked, so that the menu is theirs; None where nobody knows, or where a store that fails would be asked again."""
    known: Caller | None = request.scope.get(CALLER)
    if known is not None or status >= HTTPStatus.INTERNAL_SERVER_ERROR or request.method != "GET":
        return known
    try:
        return await identify(request)
    except (Refused, TrueupError, TimeoutError):
        return None


def show_problem(site: Site, request: Request, caller: Caller | None, status: int, code: str, message: str,
                 headers: Mapping[str, str]) -> Response:
    """Shows a problem as a page."""
    if message == f"{HTTPStatus(status).phrase}.":  # of the framework; the headline says it better
        message = ""
    title, advice = WORDS.get(status, (HTTPStatus(status).phrase, AGAIN))
    page = site.render(request, "problem.html", caller, status, title=title, message=write_sentence(message),
                       advice=ADVICE.get(code, advice), number=status, code=code,
                       again=request.url.path if request.method == "GET" and status in (408, 429, 503) else "")
    page.headers.update(headers)
    return page


def write_sentence(message: str) -> str:
    """Writes a message as a sentence: errors begin in lower case, because a command line puts `error:` before them."""
    return message[:1].upper() + message[1:] if re.match("[a-z]+[ ,]", message) else message
