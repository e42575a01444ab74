"""The section `automatic`: what the thresholds in force accept unseen, and what targets would (docs/accept.md).

It rests on the counts that the evaluation names, and on the thresholds that the history had at its `as_of`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contract.accepting.thresholds import Thresholds, find_thresholds
from contract.counts_store import load_all
from contract.evidence.automatic import Automatic, ChosenBy, VersionAutomatic
from contract.registry import Registry
from jobs.evidence.collect import Material
from metrics.automatic.describe import describe
from metrics.automatic.graded import grade_days

if TYPE_CHECKING:
    from contract.counts import DayCounts


def make(material: Material) -> Automatic:
    """Makes the section of an evaluation."""
    document = material.document
    registry = Registry(material.storage, document["model"])
    found = find_thresholds(registry, document["as_of"]) if document["role"] == "live" else None
    days = load_all(material.storage, document)
    versions = {name: _describe_version(material, name, days, found) for name in document["versions"]}
    told = " ".join(f"Version {name}: {version['sentence']}" for name, version in versions.items())
    return {"chosen_by": _name(found), "wanted": list(material.request.targets), "versions": versions,
            "sentence": told or "No version has rows."}


def _describe_version(material: Material, name: str, days: Sequence[DayCounts], found: Thresholds | None) -> VersionAutomatic:
    document = material.document
    figures, hold = document["versions"][name], found is not None and found.version == name
    later = [day for day in days if found is None or not found.chose_by(day.day)]
    whole = grade_days(days, name, figures["estimate"])
    return describe(whole, grade_days(later, name, figures["estimate"]) if hold and later else None,
                    found.at if found and hold else {}, [row["label"] for row in figures["per_class"]],
                    material.request.targets, document["confidence"], chosen=found is not None, hold=hold)


def _name(found: Thresholds | None) -> ChosenBy | None:
    return None if found is None else {"version": found.version, "evaluation": found.evaluation, "first": found.first,
                                       "last": found.last, "target": found.target}
