"""`/models`: which versions there are, what is live, how that came, and what each was made from."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from contract.documents.card import Card
from contract.documents.history import HistoryEntry
from contract.errors import DamagedDocument
from contract.registry import Registry
from inference.auth import Caller, require
from inference.pages.site import Site, run_in_thread


def make_router(site: Site) -> APIRouter:
    """Makes the route of the models page."""
    router = APIRouter()

    @router.get("/models")
    async def models(request: Request, caller: Caller = Depends(require("read"))) -> Response:
        names = await run_in_thread(site.list_models)
        name = request.query_params.get("model") or names[0]
        facts = await run_in_thread(_read_facts, site, name)
        return site.render(request, "models.html", caller, names=names, name=name, **facts)

    return router


def _read_facts(site: Site, name: str) -> dict[str, Any]:
    registry = Registry(site.storage, name)
    newest, wrong = registry.newest_known()
    records, damaged = registry.history_known()
    if wrong:  # the same of the newest record, and how it is repaired
        damaged = [wrong, *(text for text in damaged if not wrong.startswith(text))]
    return {"live": newest.state.live if newest else None,
            "versions": [_read_version(registry, v) for v in reversed(registry.versions())],
            "history": [_describe_change(r) for r in reversed(records)],
            "thresholds": sorted(newest.state.thresholds.items()) if newest else [],
            "damaged": [text.replace(f"{site.storage.root}/", "") for text in damaged]}


def _read_version(registry: Registry, version: str) -> dict[str, Any]:
    """Returns what the page says of a version; of one whose card cannot be read, that it is so."""
    try:
        return _describe_version(registry.card(version))
    except DamagedDocument as error:
        return {"version": version, "created_at": "", "assessment": [],
                "facts": {"Damaged": f"the card cannot be read: {error}".replace(f"{registry.storage.root}/", "")}}


def _describe_version(card: Card) -> dict[str, Any]:
    facts = {"Network": card.network, "Number format": f"{card.number_format}, {card.runtime}",
             "Classes": f"{len(card.classes)}: {', '.join(card.classes[:12])}{', …' if len(card.classes) > 12 else ''}",
             "Input": f"{card.preprocess.crop or card.preprocess.resize or 'any size'} px"
                      + (", grey" if card.preprocess.grey else ""),
             "Made from": card.made_from or "not said", "Fine-tuned from": f"version {card.parent}" if card.parent
             else "no version of this model", "Dataset": card.dataset or "unknown",
             "Weights": f"{card.weights_bytes / 1e6:.1f} MB, sha256 {card.weights_sha256[:12]}…"}
    return {"version": card.version, "created_at": card.created_at, "facts": facts,
            "assessment": sorted(_flatten(card.metrics))}


def _flatten(metrics: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Returns nested figures as (name, text) pairs; long lists are left out of the page."""
    pairs: list[tuple[str, str]] = []
    for key, value in metrics.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, dict):
            pairs += _flatten(value, f"{name} · ")
        elif isinstance(value, float):
            pairs.append((name, f"{value:.4g}"))
        elif isinstance(value, str | int):
            pairs.append((name, str(value)))
    return pairs


def _describe_change(entry: HistoryEntry) -> dict[str, Any]:
    change = entry.change
    return {"at": entry.at, "live": entry.state.live, "kind": str(change.get("kind", "change")),
            "by": str(change.get("by", "")), "reason": str(change.get("reason", ""))}
