"""Labelled rows of a canary and of the live version since it began, counted by the engines as any evaluation is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from contract import clock
from contract.canary.documents import Canary
from contract.counts import ORIGINS
from contract.counts_store import load_cells
from contract.deciding.formats import list_formats
from contract.evaluations import read_evaluation
from contract.registry import Registry
from metrics.canary.decide import Labelled
from pipeline.gates.tally import RightCount, tally
from pipeline.running import stages
from pipeline.running.local import Runner

if TYPE_CHECKING:
    import pyarrow as pa

ROLES = ("canary", "live")


def count_labels(registry: Registry, canary: Canary, runner: Runner, settings: Mapping[str, Any]) -> dict[str, Labelled | None]:
    """Evaluates both roles, and returns {"canary", "live"} over the days since the canary began: rows of one trusted origin,
    the first in the order of rule 4 that has labels of both; None where none has. StageFailed, StageKilled."""
    trusted = settings["gates"]["trusted_origins"]
    counted = {role: _count(registry, canary, runner, settings, role, trusted) for role in ROLES}
    for origin in ORIGINS:
        if origin in trusted and all(counts.get(origin, RightCount()).n for counts in counted.values()):
            return {role: Labelled(counts[origin].right, counts[origin].n) for role, counts in counted.items()}
    return dict.fromkeys(ROLES)


def _count(registry: Registry, canary: Canary, runner: Runner, settings: Mapping[str, Any], role: str,
           trusted: list[str]) -> dict[str, RightCount]:
    stage = replace(stages.EVALUATE, arguments=("--model", "{model}", "--role", role, "--no-report"))
    argv = ["--root", registry.storage.root, *stage.fill_arguments({"model": registry.model})]
    made = runner.run(stage, argv, settings).document
    cells = load_cells(registry.storage, read_evaluation(registry.storage, registry.model, made["id"]))
    first = clock.day_of(clock.parse_moment(canary.started_at))
    tables = [table for day, table in cells.items() if day >= first]
    versions = [canary.version] if role == "canary" else _list_live(registry, canary)
    return max((_add(tables, version, trusted) for version in versions), key=lambda found: found[0])[1]


def _list_live(registry: Registry, canary: Canary) -> list[str]:
    """The version that was live when the canary began, and its formats, which may answer in its place; as with the gate, those
    rows count of which there are most."""
    newest = registry.newest()
    same = newest is not None and newest.state.live == canary.live
    return [canary.live, *(list_formats(newest.state) if newest is not None and same else [])]


def _add(tables: Iterable[pa.Table], version: str, trusted: list[str]) -> tuple[int, dict[str, RightCount]]:
    """How many rows there are of a version, and origin -> the right ones of those with a label."""
    rows, found = 0, dict[str, RightCount]()
    for counted in (tally(table, version, trusted) for table in tables):
        rows += counted.predictions
        for origin, count in counted.origins.items():
            found[origin] = found.get(origin, RightCount()) + count
    return rows, found
