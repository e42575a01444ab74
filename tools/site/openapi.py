"""The service's OpenAPI description without a service: routes are described by their functions, which nothing calls here."""

from typing import Any, cast

from fastapi import FastAPI

from inference import api
from inference.auth import NoAuth
from inference.pages.docs import list_operations
from inference.service import Service


def describe_api() -> list[dict[str, Any]]:
    """Describes each operation as the page `/docs` shows it."""
    app = FastAPI(title="Trueup", version="1")
    app.include_router(api.make_router(cast(Service, None), NoAuth(), by_url=True))
    return list(list_operations(app.openapi(), "http://127.0.0.1:8080"))
