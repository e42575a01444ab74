"""What MLflow is told of a stage that somebody ran on a cluster by hand: its nodes may not reach it, or have no password."""

from collections.abc import Mapping
from typing import Any

from command.tracking.tracking import tell
from command.tracking.versions import log_assessment
from contract.registry import Registry
from contract.sections.tracking import TrackFields

ON_DISK = ("sqlite:", "file:")  # MLflow's addresses of a disk: a node's is gone with the node


def tell_of_stage(track: TrackFields, registry: Registry, stage: str, document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tells of the candidate that a stage's answer names what its nodes could not; returns what came of it, as `tell` does, or
    what the nodes said. None: nothing is tracked, or there is no candidate."""
    said = document.get("tracking")
    version, found = find_candidate(stage, document)
    heard = said is not None and "error" not in said and not str(track.mlflow).startswith(ON_DISK)
    if version is None or heard:
        return said
    return tell(track, lambda store: log_assessment(store, registry, version, found))


def find_candidate(stage: str, document: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any] | None]:
    """Finds the version that a stage trained or assessed, and its assessment; None where there is none."""
    if stage == "train":
        return document.get("version"), None
    if stage == "assess":
        version = document.get("versions", {}).get("candidate", {}).get("version")
        return version, document if version else None
    return (document.get("candidate"), document.get("assessment")) if stage == "tune" else (None, None)
