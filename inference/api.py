"""The HTTP interface for programs (docs/design.md#http): predictions, labels, models, health, metrics."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from contract import clock
from inference import upload
from inference.auth import FORM, Caller, Keys, Refused, identify, require
from inference.labelling.by_request import RequestNames
from inference.labelling.judgements import MOST_LABELS, explain_labelers
from inference.live.model import LiveModel
from inference.readiness import Gauges, describe_readiness
from inference.service import Service

ID = "0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
PREDICTION = {"prediction_id": ID, "model": "digits", "model_version": "1",
              "predictions": [{"label": "7", "probability": 0.97}, {"label": "1", "probability": 0.02}],
              "decision": "accept"}
JUDGEMENT = {"prediction_id": ID, "label": "1", "labeler": "anna", "saw_prediction": True}
MODELS = {"models": [{"model": "digits", "default": True, "model_version": "1", "loaded": True,
                      "network": "resnet18", "classes": ["0", "1"],
                      "number_format": "float32", "weights_sha256": "9f86d081884c7d65…", "aliases": {},
                      "refused": {"version": "2", "reason": "its weights do not match its card"},
                      "canary": {"version": "3", "share": 0.05, "step": 2, "steps": 4, "loaded": True, "stopped": None,
                                 "answers": 412, "errors": 0}}]}
FIGURES = """trueup_predictions_total{model="digits",version="1"} 1280.0
trueup_live_version{model="digits"} 1.0
trueup_outbox_rows 12.0"""
BINARY = {"schema": {"type": "string", "format": "binary"}}
ERROR = {"type": "object", "required": ["error"], "properties": {"error": {
    "type": "object", "required": ["code", "message"],
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}}}}}


def document_refusals(code: str, message: str) -> dict[int | str, dict[str, Any]]:
    """Documents what a route refuses, by one example of its own; and that it may not be able to answer."""
    found = {"4XX": ("Refused", code, message),
             "5XX": ("Not now", "store_unavailable", "the store does not answer. Try again later.")}
    return {status: {"description": description, "content": {"application/json": {
        "schema": ERROR, "example": {"error": {"code": said, "message": text}}}}}
        for status, (description, said, text) in found.items()}


NO_PICTURE = document_refusals("bad_image", "expected a JPEG, PNG or WebP image, got 3 bytes …")
NO_LABELS = document_refusals("bad_labels", 'expected one label, or {"labels": [...]} with 1 to 10,000.')
NO_KEY = document_refusals("unauthorized", "expected `Authorization: Bearer <key>`, with a key of any role.")
PREDICT_DOC: dict[str, Any] = {
    "parameters": [
        {"name": "X-Request-Id", "in": "header", "schema": {"type": "string", "maxLength": 200},
         "description": "Stored with the row. A label may name it in place of the prediction's id, so let it be one of its own."},
        {"name": "X-Attributes", "in": "header", "schema": {"type": "string"}, "example": '{"camera": "gate-3"}',
         "description": "JSON object: what is known of the picture, for slices."}],
    "requestBody": {"required": True, "description": "JPEG, PNG or WebP", "content": {
        "image/jpeg": BINARY, "image/png": BINARY, "image/webp": BINARY,
        "multipart/form-data": {"schema": {"type": "object", "required": ["image"],
                                           "properties": {"image": BINARY["schema"]}}}}}}
BY_URL = {"schema": {"type": "object", "required": ["url"], "additionalProperties": False,
                     "properties": {"url": {"type": "string", "description": "of a picture at a place that serve.urls lists"}}},
          "example": {"url": "https://pictures.example.org/7.jpg"}}
BY_REQUEST = {"request_id": "order-17", "label": "1"}
ONE_LABEL = {"type": "object", "oneOf": [{"required": ["prediction_id"]}, {"required": ["request_id"]}], "properties": {
    "prediction_id": {"type": "string", "format": "uuid"},
    "request_id": {"type": "string", "maxLength": upload.LONGEST_REQUEST_ID, "description": "in place of prediction_id: the "
                   "X-Request-Id of the prediction. Taken only where exactly one prediction of the last days "
                   "(serve.request_days), or of `day`, carries it; 409 `not_known_yet`: its row may still be under way"},
    "day": {"type": "string", "format": "date", "description": "with request_id: the UTC day of the prediction"},
    "model": {"type": "string", "description": "with request_id: the model of the prediction"},
    "label": {"type": "string", "maxLength": 200},
    "wrong": {"type": "boolean", "description": "instead of a label: the answer is wrong, its class is not named"},
    "labeler": {"type": "string", "description": "who judged, where the key stands for several people (`trueup keys add "
                "--may-name-labelers`) or is an admin's; 403 for another name than its own otherwise"},
    "saw_prediction": {"type": "boolean"}, "withdraws": {"type": "boolean"},
    "origin": {"type": "string", "enum": ["feedback", "import"]}}}
LABEL_DOC = {"requestBody": {"required": True, "content": {"application/json": {
    "schema": {"anyOf": [ONE_LABEL, {"type": "object", "required": ["labels"],
                                     "properties": {"labels": {"type": "array", "items": ONE_LABEL}}}]},
    "examples": {"one": {"value": JUDGEMENT}, "by request id": {"value": BY_REQUEST},
                 "several": {"value": {"labels": [JUDGEMENT]}}}}}}}


def document_example(value: Any, description: str) -> dict[str, Any]:
    """Documents an answer by an example."""
    return {"description": description, "content": {"application/json": {"example": value}}}


def document_bodies(by_url: bool) -> dict[str, Any]:
    """Documents what a prediction's request brings; with `by_url` also a picture's URL."""
    body = PREDICT_DOC["requestBody"]
    more = {upload.JSON: BY_URL, FORM: BY_URL} if by_url else {}
    return PREDICT_DOC | {"requestBody": body | {"content": body["content"] | more}}


def make_router(service: Service, keyring: Keys, by_url: bool) -> APIRouter:
    """Makes the API of one service; with `by_url` its predictions may name a picture's URL."""
    router, gauges = APIRouter(), Gauges(service, keyring)
    # Made at the first request: the reference pages are made of a router that has no service.
    get_names = cache(lambda: RequestNames(service.storage, service.outbox, service.settings.serve, lambda: service.models))

    @router.post("/v1/predictions", summary="Classify an image", openapi_extra=document_bodies(by_url),
                 responses={200: document_example(PREDICTION, "Durable"), **NO_PICTURE})
    async def predict(
        request: Request,
        caller: Annotated[Caller, Depends(require("predict"))],
        top_k: Annotated[int, Query(ge=1, le=100_000, description="How many labels to answer")] = 5,
        model: Annotated[str | None, Query(description="One of /v1/models; the first by default")] = None,
        x_prediction_id: Annotated[str | None, Header(description="A UUIDv7 of your own")] = None,
    ) -> dict[str, Any]:
        attributes, request_id = upload.read_attributes(request), upload.read_request_id(request)
        serve = service.settings.serve
        with service.admit(upload.read_announced_size(request, serve.max_bytes), caller) as taken:
            asked = await upload.read_image(request, serve.max_bytes, by_url=by_url)
            of_request: dict[str, Any] = {"caller": caller, "model": model, "prediction_id": x_prediction_id,
                                          "request_id": request_id, "attributes": attributes, "top_k": top_k}
            if isinstance(asked, str):
                return await service.predict_url(asked, taken, **of_request)
            return await service.predict(asked, **of_request)

    @router.post("/v1/labels", status_code=201, summary="Say what pictures show", openapi_extra=LABEL_DOC,
                 responses={201: document_example({"label_ids": [ID]}, "Durable"), **NO_LABELS})
    async def label(request: Request, caller: Annotated[Caller, Depends(require("label"))]) -> dict[str, Any]:
        judgements = await get_names().resolve(_read_judgements(await upload.read_json_body(request)))
        kept = {"label_ids": await service.label(judgements, caller=caller)}
        notice = explain_labelers(judgements, caller)
        return kept | {"notice": notice} if notice else kept

    @router.get("/v1/models", summary="What is served", openapi_extra={"security": [{"HTTPBearer": []}]},
                responses={200: document_example(MODELS, "Each model, and its version that answers"), **NO_KEY})
    async def models(request: Request) -> dict[str, Any]:
        if await identify(request) is None:
            raise Refused(401, "unauthorized", "expected `Authorization: Bearer <key>`, with a key of any role.",
                          {"WWW-Authenticate": "Bearer"})
        return {"models": [_describe_model(live, live.model == service.default_model)
                           for live in service.models.values()]}

    @router.head("/health/live", include_in_schema=False)  # how many load balancers ask
    @router.get("/health/live", summary="The process answers",
                responses={200: document_example({"live": True, "at": "2026-11-20T08:00:00.000000Z"}, "It does")})
    async def alive() -> dict[str, Any]:
        return {"live": True, "at": clock.iso(clock.now())}

    @router.head("/health/ready", include_in_schema=False)
    @router.get("/health/ready", summary="Requests can be answered", responses={503: {"description": "Not now"}})
    async def ready() -> JSONResponse:
        good, document = describe_readiness(service, keyring)
        return JSONResponse(document, 200 if good else 503)

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse,
                responses={200: {"description": "One sample a line", "content": {"text/plain": {"example": FIGURES}}}})
    async def metrics() -> Response:
        await gauges.measure()
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _read_judgements(document: object) -> list[Any]:
    judgements = document.get("labels") if isinstance(document, dict) and "labels" in document else [document]
    if not isinstance(judgements, list) or not 1 <= len(judgements) <= MOST_LABELS:
        raise Refused(422, "bad_labels", f"expected one label, or {{\"labels\": [...]}} with 1 to {MOST_LABELS:,}.")
    return judgements


def _describe_model(live: LiveModel, default: bool) -> dict[str, Any]:
    card, refused = live.card, live.refused
    return {"model": live.model, "default": default, "model_version": card and card.version,
            "loaded": live.predictor is not None, "network": card and card.network, "classes": card.classes if card else [],
            "number_format": card and card.number_format, "weights_sha256": card and card.weights_sha256,
            "aliases": dict(sorted(live.aliases.items())),
            "refused": refused and refused.describe(), "canary": live.canary.describe()}
