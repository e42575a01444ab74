"""What is known of each version of a model: how it does on live traffic, how it was judged, what it learnt from, when it served.

    facts = VersionFacts(storage, summaries).describe("digits")

Only documents are read; one that is missing or damaged is named in its place and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contract import layout
from contract.assessed.first_holdout import FirstHoldouts
from contract.deciding.names import list_aliases
from contract.deciding.targets import find_last_run
from contract.documents import manifest
from contract.documents.card import Card
from contract.documents.history import Claim, HistoryEntry, State
from contract.errors import DamagedDocument, Mismatch, NotFound, TrueupError
from contract.evaluations import list_newest_first
from contract.registry import Registry
from contract.runs import AWAITING, Runs, parse_number
from contract.stores.store import Storage
from inference.overview.summaries import Summaries

MOST_READ = 60  # evaluations of one look for the figures of all versions; what is kept makes the next look go further back


class VersionFacts:
    """Reads what the documents of a root say of versions; evaluations once."""

    def __init__(self, storage: Storage, summaries: Summaries) -> None:
        self._storage, self._summaries = storage, summaries
        self._first: dict[str, FirstHoldouts] = {}

    def describe(self, registry: Registry, records: list[HistoryEntry], live: str | None) -> list[dict[str, Any]]:
        """Describes every version, the newest first."""
        versions = list(reversed(registry.versions()))
        figures = self._find_figures(registry.model, versions)
        state = records[-1].state if records else State()
        first = self._first.setdefault(registry.model, FirstHoldouts(registry)).find()
        return [self._describe_version(registry, v, records, figures.get(v)) | {
            "live": v == live, "aliases": list_aliases(state, v), "first": first.get(v)} for v in versions]

    def _find_figures(self, model: str, versions: list[str]) -> dict[str, dict[str, Any]]:
        """Finds, for each version, the newest evaluation of live traffic that has predictions of it."""
        found: dict[str, dict[str, Any]] = {}
        before = self._summaries.read
        for name in list_newest_first(self._storage, model):
            if len(found) == len(versions) or self._summaries.read - before >= MOST_READ:
                break
            summary = self._summaries.find(model, name)
            if summary is None or summary["role"] != "live":
                continue
            for version, figures in summary["versions"].items():
                if version in versions and figures["predictions"]:
                    found.setdefault(version, {
                        "estimate": figures["estimate"], "predictions": figures["predictions"], "evaluation": name,
                        "labelled": figures["labelled"], "window": summary["window"]})
        for figure in found.values():
            figure["report"] = self._storage.exists(layout.report(model, figure["evaluation"]))
        return found

    def _describe_version(self, registry: Registry, version: str, records: list[HistoryEntry],
                          figures: dict[str, Any] | None) -> dict[str, Any]:
        facts: dict[str, Any] = {"version": version, "figures": figures, "damaged": [],
                                 "spans": list(list_spans(records, version))}
        try:
            card: Card | None = registry.card(version)
        except TrueupError as error:
            card = None
            facts["damaged"].append(f"the card cannot be read: {error}".replace(f"{self._storage.root}/", ""))
        assessment, awaits = self._find_assessment(registry.model, version)
        return facts | {"card": card, "assessment": assessment, "awaits_approval": awaits,
                        "learnt": self._describe_dataset(card.dataset) if card and card.dataset else None}

    def _find_assessment(self, model: str, version: str) -> tuple[dict[str, Any] | None, bool]:
        """Finds how the run that made a version compared it with its parent, and whether it awaits approval."""
        try:
            claim = Claim.load(self._storage, layout.claim(model, version))
            run = Runs(self._storage, model).get(parse_number(claim.run)) if claim.run else None
            promotion = run.stage("promotion") if run else None
            end = find_last_run(self._storage, model, version, run.key).end() if run else None
        except (NotFound, DamagedDocument, ValueError):
            return None, False
        if promotion is None:
            return None, False
        overall = promotion.get("overall")
        return {"sentence": str(promotion.get("sentence", "")), "verdict": str(promotion.get("verdict", "")),
                "promote": bool(promotion.get("promote")), "overall": overall if isinstance(overall, dict) else None,
                "run": run.key if run else ""}, bool(end and end.status == AWAITING)

    def _describe_dataset(self, dataset: str) -> dict[str, Any]:
        """Describes what a version was trained on: rows, those that were new, whose labels they were; `rows` None: not known."""
        try:
            made = manifest.Manifest.load(self._storage, layout.manifest(dataset))
        except (NotFound, Mismatch, ValueError):
            return {"dataset": dataset, "rows": None}
        rows = made.rows.get("train", 0)
        return {"dataset": dataset, "rows": rows, "new": rows - made.replayed.get("train", 0), "parent": made.parent,
                "sources": made.label_sources, "held_out": made.rows.get("holdout", 0), "classes": len(made.classes)}


def list_spans(records: list[HistoryEntry], version: str) -> Iterator[tuple[str, str | None]]:
    """Yields from when to when a version was live; None: it still is. Records oldest first."""
    since: str | None = None
    for record in records:
        if record.state.live == version and since is None:
            since = record.at
        elif record.state.live != version and since is not None:
            yield since, record.at
            since = None
    if since is not None:
        yield since, None


def list_differing_settings(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Lists the settings of training in which two versions differ: name, the one's, the other's."""
    if one["card"] is None or other["card"] is None:
        return []
    mine, others = one["card"].settings, other["card"].settings
    return [(name, str(mine.get(name, "–")), str(others.get(name, "–"))) for name in sorted({*mine, *others})
            if mine.get(name) != others.get(name)]
