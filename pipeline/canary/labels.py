"""Labelled rows of a canary and of the live version since it began, counted by the engines as any evaluation is."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from contract import clock
from contract.canary.documents import Canary
from contract.counts import ORIGINS
from contract.counts_store import load_cells
from contract.deciding.formats import list_answering
from contract.evaluations import read_evaluation
from contract.registry import Registry
from metrics.canary.decide import Labelled
from pipeline.gates.tally import RightCount, tally
from pipeline.running import stages
from pipeline.running.local import Runner

ROLES = ("canary", "live")


def count_labels(registry: Registry, canary: Canary, runner: Runner, settings: Mapping[str, Any]) -> dict[str, Labelled | None]:
    """Evaluates both roles, and returns {"canary", "live"} over the days since the canary began; StageFailed, StageKilled.

    Both count rows of one trusted origin, the first in the order of rule 4 that has labels of both; None where none has. Of
    role live they are those of the live version and of all its formats.
    """
    trusted = settings["gates"]["trusted_origins"]
    counted = {role: _count(registry, canary, runner, settings, role, trusted) for role in ROLES}
    for origin in ORIGINS:
        if origin in trusted and all(counts.get(origin, RightCount()).n for counts in counted.values()):
            return {role: Labelled(counts[origin].right, counts[origin].n) for role, counts in counted.items()}
    return dict.fromkeys(ROLES)


def _count(registry: Registry, canary: Canary, runner: Runner, settings: Mapping[str, Any], role: str,
           trusted: list[str]) -> dict[str, RightCount]:
    newest, _ = registry.newest_known()
    versions = [canary.version] if role == "canary" else list_answering(newest.state if newest else None)
    stage = replace(stages.EVALUATE, arguments=("--model", "{model}", "--role", role, "--no-report"))
    argv = ["--root", registry.storage.root, *stage.fill_arguments({"model": registry.model})]
    made = runner.run(stage, argv, settings).document
    cells = load_cells(registry.storage, read_evaluation(registry.storage, registry.model, made["id"]))
    first, found = clock.day_of(clock.parse_moment(canary.started_at)), dict[str, RightCount]()
    for day, table in cells.items():
        if day >= first:
            for origin, count in (row for v in versions for row in tally(table, v, trusted).origins.items()):
                found[origin] = found.get(origin, RightCount()) + count
    return found
