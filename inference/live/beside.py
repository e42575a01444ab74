"""The versions that compute beside the live one, each in a role: loaded aside, tried, and let go, as the history says.

One that cannot be loaded is refused and named; the live version never notices. A role that the history no longer names is
let go at the next look.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from contract.canary.changes import get_running
from contract.deciding.names import SHADOW
from contract.documents.history import State
from contract.registry import Registry
from inference.live.door import Door
from inference.live.loading import RefusedVersion, load_version, refuse_version
from inference.telemetry import log_event

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

CANARY = "canary"


def find_versions_beside(state: State) -> dict[str, str]:
    """Returns role -> version of what computes beside the live version: nothing where none is live, and one that is live itself
    computes once."""
    if state.live is None:
        return {}
    canary = get_running(state)
    named = {SHADOW: state.aliases.get(SHADOW), CANARY: canary.version if canary else None}
    return {role: version for role, version in named.items() if version is not None and version != state.live}


class VersionsBeside:
    """`predictors`: role -> predictor that was tried. Replaced as a whole, so that a reader on another thread sees one state."""

    def __init__(self, registry: Registry, device: str, max_batch: int, lanes: int = 1, door: Door = Door()) -> None:
        """`lanes`: how many batches the service computes side by side; `door`: what becomes of pictures."""
        self.predictors: Mapping[str, Predictor] = {}
        self.refused: Mapping[str, RefusedVersion] = {}
        self._registry, self._device, self._max_batch, self._lanes = registry, device, max_batch, lanes
        self._door = door

    def follow(self, wanted: Mapping[str, str], seq: int) -> None:
        """Takes over what history record `seq` wants, role -> version. Blocks; never raises for a bad version."""
        self._keep(wanted)
        for role, version in wanted.items():
            if role not in self.predictors and not self._is_refused_for_good(role, seq):
                self._take_over(role, version, seq)

    def _keep(self, wanted: Mapping[str, str]) -> None:
        """Lets go of what is no longer wanted in its role."""
        kept = {role: p for role, p in self.predictors.items() if wanted.get(role) == p.card.version}
        for role in self.predictors.keys() - kept.keys():
            log_event("no longer beside", model=self._registry.model, role=role, version=self.predictors[role].card.version)
        self.predictors = kept
        self.refused = {role: r for role, r in self.refused.items() if wanted.get(role) == r.version}

    def _is_refused_for_good(self, role: str, seq: int) -> bool:
        refused = self.refused.get(role)
        return refused is not None and refused.for_good and refused.seq == seq

    def _take_over(self, role: str, version: str, seq: int) -> None:
        lanes = self._lanes if role == CANARY else 1  # a shadow computes in its own process
        try:
            predictor = load_version(self._registry, version, self._device, self._max_batch, lanes)
        except BaseException as error:  # a version brought from outside may raise anything, SystemExit included
            refused = refuse_version(version, seq, error)
            self.refused = {**self.refused, role: refused}
            log_event("version refused", logging.ERROR, model=self._registry.model, role=role, version=version,
                      reason=refused.reason)
            return
        self.predictors = {**self.predictors, role: predictor}
        self.refused = {r: one for r, one in self.refused.items() if r != role}
        log_event("now beside", model=self._registry.model, role=role, version=version, network=predictor.card.network,
                  weights_sha256=predictor.card.weights_sha256, history=seq)
        self._door.warn_of(predictor.card)
