"""`/docs`: the API with examples, rendered from the application's own OpenAPI description (`/openapi.json`).

Written here because the usual page loads its scripts from elsewhere, which a closed network and our CSP refuse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from inference.pages.site import Site

METHODS = ("get", "post")


def routes(site: Site) -> APIRouter:
    """The page, open to everybody: it says nothing of this installation but its address."""
    router = APIRouter()

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        address = str(request.base_url).rstrip("/")
        document = request.app.openapi()
        return site.render(request, "docs.html", None, info=document["info"], address=address,
                           operations=list(operations(document, address)))

    return router


def operations(document: dict[str, Any], address: str) -> Iterator[dict[str, Any]]:
    """Each operation as the page shows it."""
    for path, methods in document["paths"].items():
        for method in (m for m in METHODS if m in methods):
            operation = methods[method]
            yield {"id": f"{method}{path.replace('/', '-')}", "method": method.upper(), "path": path,
                   "summary": operation.get("summary", ""), "needs_key": bool(operation.get("security")),
                   "parameters": list(map(_parameter, operation.get("parameters", ()))),
                   "bodies": list(operation.get("requestBody", {}).get("content", ())),
                   "curls": list(_curls(method, address + path, operation)),
                   "answers": [_answer(status, said) for status, said in operation["responses"].items()]}


def _parameter(parameter: dict[str, Any]) -> dict[str, str]:
    schema = parameter.get("schema", {})
    kinds = [s.get("type", "") for s in schema.get("anyOf", [schema])]
    return {"name": parameter["name"], "in": parameter["in"], "description": parameter.get("description", ""),
            "type": " or ".join(k for k in kinds if k and k != "null"),
            "default": json.dumps(schema["default"]) if schema.get("default") is not None else "",
            "example": str(parameter.get("example", ""))}


def _curls(method: str, url: str, operation: dict[str, Any]) -> Iterator[str]:
    """A command for each kind of body that has an example; one without a body otherwise."""
    start = f"curl {url}" + (" \\\n  -H 'Authorization: Bearer KEY'" if operation.get("security") else "")
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        yield start
    for kind, body in content.items():
        examples = [e["value"] for e in body.get("examples", {}).values()]
        if kind == "image/jpeg":
            yield f"{start} \\\n  -H 'Content-Type: {kind}' --data-binary @picture.jpg"
        elif kind.startswith("multipart/"):
            yield f"{start} \\\n  -F image=@picture.jpg"
        for example in examples:
            yield f"{start} \\\n  -H 'Content-Type: {kind}' -d '{json.dumps(example)}'"


def _answer(status: str, said: dict[str, Any]) -> dict[str, str]:
    content = said.get("content", {}).get("application/json", {})
    name = said.get("description") or (HTTPStatus(int(status)).phrase if status.isdigit() else "")
    example = json.dumps(content["example"], indent=1, ensure_ascii=False) if "example" in content else ""
    return {"status": status, "description": name, "example": example}
