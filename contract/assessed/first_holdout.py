"""What assessments found on the held-out rows of a line's first dataset: the section `first` of their documents.

It is written by training/forgetting.py; its `versions` have each version's accuracy there, those of earlier assessments too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contract import layout
from contract.documents.history import Claim
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.registry import Registry
from contract.runs import Runs, parse_number


def find_newest(registry: Registry, version: str, dataset: str | None = None) -> dict[str, Any] | None:
    """Finds the newest such section among the runs that made a version and those that it descends from.

    `dataset`: of this first dataset only. None: no run compared any of them there, or nothing could be told.
    """
    return next((found for found in _list_sections(registry, version)
                 if found.get("versions") and dataset in (None, found.get("dataset"))), None)


def _list_sections(registry: Registry, version: str) -> Iterator[dict[str, Any]]:
    try:
        for card in registry.ancestors(version, missing_ok=True):
            found = (_read_assessment(registry, card.version) or {}).get("first")
            if isinstance(found, dict):
                yield found
    except DamagedDocument as error:  # a line with a hole ends there
        pass_over(error)


def _read_assessment(registry: Registry, version: str) -> dict[str, Any] | None:
    try:
        run = Claim.load(registry.storage, layout.claim(registry.model, version)).run
        return Runs(registry.storage, registry.model).get(parse_number(run)).stage("assess") if run else None
    except (NotFound, DamagedDocument, ValueError):
        return None
