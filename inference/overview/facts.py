"""What the overview says of each model: verdict and since when, accuracy by day, traffic, what waits, the last cycle.

    facts = Facts(site.storage, 30.0).describe("digits")

Only documents are read, never rows; a damaged one is named and stops nothing.
"""

from __future__ import annotations

from typing import Any

from contract.canary.changes import get_running
from contract.deciding.formats import list_answering
from contract.deciding.names import SHADOW
from contract.documents.evaluation import TrendPoint
from contract.documents.evaluation_summary import Summary
from contract.documents.finished_stages import STAGES
from contract.documents.history import HistoryEntry
from contract.errors import DamagedDocument, Mismatch, NotFound
from contract.evaluations import (
    UNDECIDED,
    find_bound,
    find_other_rules,
    find_verdict,
    is_stale,
    list_newest_first,
    read_decision,
    say_stale,
)
from contract.registry import Registry
from contract.runs import AWAITING, Run, Runs
from contract.stores.store import Storage
from inference.live.beside import find_versions_beside
from inference.overview.automatic import describe_automatic
from inference.overview.chart import PHONE_WIDTH, draw
from inference.overview.forgotten import Forgotten
from inference.overview.summaries import Summaries
from inference.overview.trend import Trends, sum_days

LOOK_BACK = 60  # decisions that are read to say since when a verdict holds
MEASURED_LOOK_BACK = 10  # evaluations that are read to find one that measured pictures
TRAFFIC_DAYS = 7
EVENTS = {"promote": "version {live} went live", "override": "a gate was overridden", "delete": "weights were deleted",
          "thresholds": "thresholds were accepted", "format": "a format was let in",
          "canary promoted": "version {live} went live"}


class Facts:
    """Reads the documents of a root; what cannot change is read once."""

    def __init__(self, storage: Storage, max_age_days: float | None) -> None:
        """`max_age_days`: a verdict older than this says nothing of today (gates.max_age_days)."""
        self._storage, self._max_age = storage, max_age_days
        self._summaries = Summaries(storage)
        self._trends = Trends(self._summaries)
        self._forgotten = Forgotten(storage)

    def describe(self, model: str) -> dict[str, Any]:
        """Describes one model; what is not there yet is None."""
        registry = Registry(self._storage, model)
        newest, wrong = registry.newest_known()
        damaged = [wrong] if wrong else []
        live = newest.state.live if newest else None
        decision = self._find_decision(model, list_answering(newest.state if newest else None), damaged)
        names = list_newest_first(self._storage, model)
        points = self._trends.find(model, names)
        records, _ = registry.history_known()
        summary = self._find_newest(model, names)
        automatic = describe_automatic(newest.state if newest else None, summary)
        shadow = find_versions_beside(newest.state).get(SHADOW) if newest else None
        canary = get_running(newest.state) if newest else None
        return {"model": model, "live": live, "automatic": automatic,
                "shadow": _describe_shadow(shadow, summary) if shadow else None, "canary": canary and canary.describe(),
                "verdict": self._describe_verdict(model, decision, names),
                **_draw(points, find_bound(decision), _list_events(records)), "traffic": sum_days(points, TRAFFIC_DAYS),
                "other_rules": None if decision else find_other_rules(self._storage, model),
                "evaluation": decision.get("evaluation") if decision else None, "cycle": self._describe_cycle(model, damaged),
                "pictures": self._find_pictures(model, names), "first": self._forgotten.find(model, live),
                "damaged": [text.replace(f"{self._storage.root}/", "") for text in damaged]}

    def _find_decision(self, model: str, live: list[str], damaged: list[str]) -> dict[str, Any] | None:
        try:
            return find_verdict(self._storage, model, live, damaged)
        except (Mismatch, NotFound, ValueError, KeyError) as error:
            damaged.append(str(error))
            return None

    def _find_newest(self, model: str, names: list[str]) -> Summary | None:
        """Finds the newest evaluation of live predictions that can be read."""
        found = (self._summaries.find(model, name) for name in names[:LOOK_BACK])
        return next((summary for summary in found if summary is not None and summary["role"] == "live"), None)

    def _describe_verdict(self, model: str, decision: dict[str, Any] | None, names: list[str]) -> dict[str, Any] | None:
        if decision is None:
            return None
        if is_stale(decision, self._max_age):
            return {"verdict": UNDECIDED, "since": None, "sentence": say_stale(decision)}
        return {"verdict": decision["verdict"], "since": self._find_since(model, decision, names),
                "sentence": decision["sentence"]}

    def _find_since(self, model: str, decision: dict[str, Any], names: list[str]) -> str | None:
        """Finds the oldest decision in a row that says the same of the same version: when it was known."""
        since = decision.get("as_of")
        older = names[names.index(decision["evaluation"]) + 1:] if decision.get("evaluation") in names else []
        for name in older[:LOOK_BACK]:
            try:
                before = read_decision(self._storage, model, name)
            except DamagedDocument:
                continue
            if before is None:
                continue
            if (before["version"], before["verdict"]) != (decision["version"], decision["verdict"]):
                break
            since = before.get("as_of") or since
        return since

    def _find_pictures(self, model: str, names: list[str]) -> dict[str, str] | None:
        """Finds what the newest evaluation that measured pictures says of them: its name, its last day, a sentence."""
        for name in names[:MEASURED_LOOK_BACK]:
            summary = self._summaries.find(model, name)
            section = summary.get("evidence", {}).get("pictures") if summary and summary["role"] == "live" else None
            if summary and section:
                return {"evaluation": name, "to": summary["window"]["to"], "sentence": section["sentence"]}
        return None

    def _describe_cycle(self, model: str, damaged: list[str]) -> dict[str, Any] | None:
        try:
            run = Runs(self._storage, model).newest()
            return _describe_run(run) if run else None
        except DamagedDocument as error:
            damaged.append(str(error))
            return None


def _describe_shadow(shadow: str, newest: Summary | None) -> str:
    """Says what the newest evaluation of live traffic found of the version that computes beside the live one."""
    found = newest.get("evidence", {}).get("shadow") if newest else None
    return found["sentence"] if found else f"Version {shadow} computes beside the live one; no evaluation has rows of it yet."


def _describe_run(run: Run) -> dict[str, Any]:
    end = run.end()
    stages = [(name, run.stage(name) is not None) for name in STAGES]
    stages = [(name, done) for name, done in stages if done or name != "shadow"]  # few runs have it
    return {"run": run.key, "days": run.plan.days, "status": end.status if end else "open", "at": end.at if end else None,
            "stages": stages, "sentence": end.sentence if end else "",
            "awaits_approval": bool(end and end.status == AWAITING)}


def _draw(points: list[TrendPoint], bound: float | None, events: list[tuple[str, str]]) -> dict[str, Any]:
    """Draws the accuracy by day at two sizes: of a page, and of a phone."""
    return {"chart": draw(points, bound, events), "phone_chart": draw(points, bound, events, PHONE_WIDTH)}


def _list_events(records: list[HistoryEntry]) -> list[tuple[str, str]]:
    """Lists (day, text) of what happened to the model."""
    return [(r.at[:10], EVENTS.get(str(r.change.get("kind")), str(r.change.get("kind"))).format(live=r.state.live))
            for r in records]
