"""The web application: the API, the pages, and one form for every error.

    app = create_app(service, keyring)      # an ASGI application; its lifespan starts and stops the service
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from contract.errors import TrueupError
from inference import api
from inference.auth import install
from inference.pages.routes import add_pages
from inference.pages.site import STATUS
from inference.service import Service
from inference.telemetry import Metrics

CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(service: Service, keyring: Any) -> FastAPI:
    """The application around a service; `keyring`: inference.keys.KeyRing, or inference.auth.NoAuth."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    app = FastAPI(title="Trueup", version="1", lifespan=lifespan, docs_url=None, redoc_url=None,
                  description="Predictions of a watched image classifier, and what people say of them.")
    app.state.cors_origins = tuple(service.settings.serve.cors_origins)
    install(app, keyring)
    for kind, handler in ((RequestValidationError, invalid), (HTTPException, refused), (TrueupError, failed),
                          (Exception, broken)):
        app.add_exception_handler(kind, handler)
    app.include_router(api.routes(service))
    add_pages(app, service, keyring)
    app.add_middleware(Counted, metrics=service.metrics)
    if app.state.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=app.state.cors_origins, allow_methods=["GET", "POST"],
                           allow_headers=["Authorization", "Content-Type", "X-Prediction-Id", "X-Request-Id",
                                          "X-Attributes"])
    return app


def error_answer(status: int, code: str, message: str, headers: Any = None) -> JSONResponse:
    """`{"error": {"code", "message"}}`."""
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


async def invalid(_: Request, error: Exception) -> JSONResponse:
    """A parameter of the wrong form."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = " ".join(str(part) for part in first["loc"])
    return error_answer(422, "invalid_request", f"{where}: {first['msg']}, got {str(first.get('input'))[:80]!r}.")


async def refused(_: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: unknown paths, wrong methods."""
    assert isinstance(error, HTTPException)
    return error_answer(error.status_code, CODES.get(error.status_code, "refused"), f"{error.detail}.", error.headers)


async def failed(_: Request, error: Exception) -> JSONResponse:
    """An error of the library that no handler expected."""
    status = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
    assert isinstance(error, TrueupError)
    return error_answer(status, error.http_code, str(error))


async def broken(_: Request, error: Exception) -> JSONResponse:
    """A mistake of ours: the log has the traceback, the caller does not."""
    return error_answer(500, "internal", f"{type(error).__name__}: the service failed. Its log says where.")


class Counted:
    """Counts answers by route and status."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status = 500

        async def watched(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            return await self.app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(route, str(status)).inc()
