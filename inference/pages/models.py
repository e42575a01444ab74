"""`/models`: which versions there are, how each does on live traffic, what each was made from, two of them side by side."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from contract.canary.changes import get_running
from contract.deciding.formats import list_answering
from contract.deciding.proposals import list_proposals
from contract.deciding.targets import list_overrides
from contract.documents.card import Card
from contract.documents.history import HistoryEntry
from contract.errors import Mismatch, NotFound
from contract.evaluations import UNDECIDED, find_verdict, is_stale, say_stale
from contract.registry import Registry
from contract.texts.figures import write_bound, write_figure, write_number, write_points
from inference.auth import Caller, Refused, require
from inference.overview.summaries import Summaries
from inference.pages.site import Site, run_in_thread
from inference.versions.facts import VersionFacts, list_differing_settings

SIDE_BY_SIDE = 2


def make_router(site: Site) -> APIRouter:
    """Makes the route of the models page; `compare=2,3` puts two versions side by side."""
    router = APIRouter()
    facts = VersionFacts(site.storage, Summaries(site.storage))

    @router.get("/models")
    async def models(request: Request, caller: Caller = Depends(require("read"))) -> Response:
        names = await run_in_thread(site.list_models)
        name = request.query_params.get("model") or names[0]
        said = await run_in_thread(_read_facts, site, facts, name)
        pair = [v for v in said["versions"] if v["version"] in request.query_params.get("compare", "").split(",")]
        if request.query_params.get("compare") and len(pair) != SIDE_BY_SIDE:
            raise Refused(422, "bad_versions", "expected two versions of this model to compare, such as compare=1,2.")
        return site.render(request, "models.html", caller, names=names, name=name, pair=pair,
                           here=_say_what_answers(site, name),
                           differing=list_differing_settings(*pair) if pair else [], done=_find_done(request, said["records"]),
                           asked=request.query_params.get("asked", ""), may_decide=caller.may("admin") and not site.open_to_all,
                           write_figure=write_figure, write_points=write_points, write_bound=write_bound,
                           write_number=write_number, **said)

    return router


def _say_what_answers(site: Site, name: str) -> str:
    """Says what this service does for a model, which is not always one that it serves."""
    live = site.service.models.get(name)
    if live is None:
        return "This service does not answer for it"
    if live.card is None:
        return "Nothing answers here"
    asleep = "" if live.predictor else ", once it is loaded again: nobody asked for long"
    return f"Version {live.card.version} answers here{asleep}"


def _read_facts(site: Site, facts: VersionFacts, name: str) -> dict[str, Any]:
    registry = Registry(site.storage, name)
    newest, wrong = registry.newest_known()
    records, damaged = registry.history_known()
    if wrong:  # the same of the newest record, and how it is repaired
        damaged = [wrong, *(text for text in damaged if not wrong.startswith(text))]
    live, answering = newest.state.live if newest else None, list_answering(newest.state if newest else None)
    versions = [v | {"facts": _describe_card(v["card"]) if v["card"] else {}, "metrics": sorted(_flatten(v["card"].metrics))
                     if v["card"] else []} for v in facts.describe(registry, records, live)]
    return {"live": live, "canary": get_running(newest.state) if newest else None, "versions": versions,
            "history": [_describe_change(r) for r in reversed(records)], "records": records,
            "thresholds": sorted(newest.state.thresholds.items()) if newest else [],
            "thresholds_of": newest.state.thresholds_of if newest else None, "overrides": list_overrides(registry),
            "deleted": newest.state.deleted if newest else [], "back_to": _find_back(records, live),
            "proposals": [p for p in list_proposals(registry) if p.closed is None],
            "answering": answering, "verdict": _describe_verdict(site, name, answering),
            "damaged": [t.replace(f"{site.storage.root}/", "") for t in damaged]}


def _find_back(records: list[HistoryEntry], live: str | None) -> str | None:
    """Finds the version that the live one replaced: what a rollback is proposed to go to."""
    before = [r.state.live for r in records if r.state.live not in (None, live)]
    return before[-1] if before else None


def _describe_verdict(site: Site, model: str, live: list[str]) -> dict[str, str] | None:
    """Describes the verdict on what is live, as the overview and /reports have it."""
    if not live:
        return None
    try:
        found = find_verdict(site.storage, model, live, [])
    except (Mismatch, NotFound, ValueError, KeyError):  # /reports names it
        return None
    if found is None:
        return None
    stale = is_stale(found, site.service.settings.gates.max_age_days)
    return {"verdict": UNDECIDED if stale else str(found["verdict"]),
            "sentence": say_stale(found) if stale else str(found["sentence"])}


def _find_done(request: Request, records: list[HistoryEntry]) -> HistoryEntry | None:
    """Finds the record of what was just decided: the address tells its number, the history what it is."""
    return next((r for r in records if str(r.seq) == request.query_params.get("done")), None)


def _describe_card(card: Card) -> dict[str, Any]:
    return {"Network": card.network, "Number format": f"{card.number_format}, {card.runtime}",
            "Classes": f"{len(card.classes)}: {', '.join(card.classes[:12])}{', …' if len(card.classes) > 12 else ''}",
            "Input": f"{card.preprocess.crop or card.preprocess.resize or 'any size'} px"
                     + (", grey" if card.preprocess.grey else ""),
            **({"Levels": "{} (black) to {} (white)".format(*card.preprocess.levels)} if card.preprocess.levels else {}),
            **({"Decoders": ", ".join(card.preprocess.decoders)} if card.preprocess.decoders else {}),
            "Made from": card.made_from or "not said", "Fine-tuned from": f"version {card.parent}" if card.parent
            else "no version of this model", "Weights": f"{card.weights_bytes / 1e6:.1f} MB, sha256 {card.weights_sha256[:12]}…"}


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
    second = change.get("approved_by")
    return {"at": entry.at, "live": entry.state.live, "kind": str(change.get("kind", "change")),
            "by": f"{change.get('by', '')}, approved by {second}" if second else str(change.get("by", "")),
            "reason": str(change.get("reason", ""))}
