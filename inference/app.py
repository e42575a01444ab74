"""The web application: the API, the pages, and one form for every error.

    app = create_app(service, keyring)      # an ASGI application; its lifespan starts and stops the service
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from contract.errors import RootError, TrueupError, shorten
from inference import api
from inference.auth import Keys, NoAuth, install, make_error
from inference.body_limits import BodyLimits
from inference.pages.routes import add_pages
from inference.pages.site import RETRY_LATER, STATUS
from inference.service import Service
from inference.telemetry import Metrics, log_event

CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(service: Service, keyring: Keys) -> FastAPI:
    """Makes the application around a service; its lifespan starts and stops the service."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        fresh = None if isinstance(keyring, NoAuth) else asyncio.create_task(keyring.known.keep_fresh())
        await service.start()
        yield
        if fresh:
            fresh.cancel()
        await service.stop()

    app = FastAPI(title="Trueup", version="1", lifespan=lifespan, docs_url=None, redoc_url=None,
                  description="Predictions of a watched image classifier, and what people say of them.")
    app.state.cors_origins = tuple(service.settings.serve.cors_origins)
    install(app, keyring)
    app.include_router(api.make_router(service, keyring, by_url=service.fetcher is not None))
    add_pages(app, service, keyring, service.settings.serve.open_batches, PROBLEMS)
    app.add_middleware(BodyLimits, serve=service.settings.serve)
    app.add_middleware(RequestCounter, metrics=service.metrics)
    if app.state.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=app.state.cors_origins, allow_methods=["GET", "POST"],
                           allow_headers=["Authorization", "Content-Type", "X-Prediction-Id", "X-Request-Id",
                                          "X-Attributes"])
    # The outermost: whether a cookie is Secure depends on the scheme, of which a proxy alone knows.
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=service.settings.serve.trusted_proxies)
    return app


def answer_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Makes the answer `{"error": {"code", "message"}}`."""
    return JSONResponse(make_error(code, message), status, headers)


async def answer_invalid(_: Request, error: Exception) -> JSONResponse:
    """Answers a request with a parameter of the wrong form."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = " ".join(str(part) for part in first["loc"])
    return answer_error(422, "invalid_request", f"{where}: {first['msg']}, got {shorten(first.get('input'))}.")


async def answer_refused(_: Request, error: Exception) -> JSONResponse:
    """Answers what the framework itself refuses: unknown paths, wrong methods."""
    assert isinstance(error, HTTPException)
    return answer_error(error.status_code, CODES.get(error.status_code, "refused"), f"{error.detail}.", error.headers)


async def answer_failed(_: Request, error: Exception) -> JSONResponse:
    """Answers an error of the library that no handler expected; what a store's error says of the bucket is for the log."""
    if isinstance(error, RootError):
        log_event("store unavailable", logging.WARNING, error=str(error))
        return answer_error(503, "store_unavailable", "the store does not answer. Try again later.", RETRY_LATER)
    status = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
    assert isinstance(error, TrueupError)
    return answer_error(status, error.http_code, str(error))


async def answer_broken(_: Request, error: Exception) -> JSONResponse:
    """Answers after a mistake of ours: the log has the traceback, the caller does not."""
    return answer_error(500, "internal", f"{type(error).__name__}: the service failed. Its log says where.")


PROBLEMS = {RequestValidationError: answer_invalid, HTTPException: answer_refused, TrueupError: answer_failed,
            Exception: answer_broken}
HUNG_UP = 499  # what is counted for a caller who did not wait; nginx has the number


class RequestCounter:
    """ASGI middleware that counts answers by route and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, and counts its answer."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status = 500

        async def note_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            return await self.app(scope, receive, note_status)
        except ClientDisconnect:  # the caller hung up in the middle of a body: nobody is there to be answered
            status = HUNG_UP
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(route, str(status)).inc()
