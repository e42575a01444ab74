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

from contract import clock, ids
from inference.api import ID
from inference.pages.problems import find_caller
from inference.pages.site import Site

METHODS = ("get", "post")
NO_ENTROPY = bytes(10)  # of an id that no prediction has


def make_router(site: Site) -> APIRouter:
    """Makes the route of the page, open to everybody: it says nothing of this installation but its address."""
    router = APIRouter()

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        address = str(request.base_url).rstrip("/")
        document = renew_examples(request.app.openapi())
        caller = await find_caller(request, 200)
        return site.render(request, "docs.html", caller, info=document["info"], address=address,
                           operations=list(list_operations(document, address)))

    return router


def renew_examples(document: dict[str, Any]) -> dict[str, Any]:
    """Puts an id of today in place of the examples': one that is a year old is refused."""
    today: dict[str, Any] = json.loads(json.dumps(document).replace(ID, ids.uuid7(clock.now(), NO_ENTROPY)))
    return today


def list_operations(document: dict[str, Any], address: str) -> Iterator[dict[str, Any]]:
    """Yields each operation as the page shows it."""
    for path, methods in document["paths"].items():
        for method in (m for m in METHODS if m in methods):
            operation = methods[method]
            yield {"id": f"{method}{path.replace('/', '-')}", "method": method.upper(), "path": path,
                   "summary": operation.get("summary", ""), "needs_key": bool(operation.get("security")),
                   "parameters": list(map(_describe_parameter, operation.get("parameters", ()))),
                   "bodies": list(operation.get("requestBody", {}).get("content", ())),
                   "body": _write_body(operation),
                   "takes_file": "image/jpeg" in operation.get("requestBody", {}).get("content", {}),
                   "curls": list(_make_curls(address + path, operation)),
                   "answers": [_describe_answer(status, answer) for status, answer in operation["responses"].items()]}


def _write_body(operation: dict[str, Any]) -> str:
    """Writes the first example of a JSON body, for the form in which it can be tried; empty where none is taken."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    first: dict[str, Any] = next(iter(content.get("examples", {}).values()), {})
    return json.dumps(first["value"], indent=1, ensure_ascii=False) if first else ""


def _describe_parameter(parameter: dict[str, Any]) -> dict[str, str]:
    schema = parameter.get("schema", {})
    kinds = [s.get("type", "") for s in schema.get("anyOf", [schema])]
    return {"name": parameter["name"], "in": parameter["in"], "description": parameter.get("description", ""),
            "type": " or ".join(k for k in kinds if k and k != "null"),
            "default": json.dumps(schema["default"]) if schema.get("default") is not None else "",
            "example": str(parameter.get("example", ""))}


def _make_curls(url: str, operation: dict[str, Any]) -> Iterator[str]:
    """Yields a command for each kind of body that has an example; one without a body otherwise."""
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


def _describe_answer(status: str, answer: dict[str, Any]) -> dict[str, str]:
    content = answer.get("content", {})
    text = content.get("text/plain", {}).get("example", "")
    content = content.get("application/json", {})
    name = answer.get("description") or (HTTPStatus(int(status)).phrase if status.isdigit() else "")
    example = json.dumps(content["example"], indent=1, ensure_ascii=False) if "example" in content else text
    return {"status": status, "description": name, "example": example}
