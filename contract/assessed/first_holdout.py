"""What assessments found on the held-out rows of a line's first dataset: the section `first` of their documents.

It is written by training/forgetting.py; its `versions` have each version's accuracy there, those of earlier assessments too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from contract import layout
from contract.documents.history import Claim
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.registry import Registry
from contract.runs import Runs, parse_number
from contract.sequence import NumberedDocuments
from contract.texts.figures import write_count, write_figure

NOT_ASKED = "no assessment asked it; a run of the cycle asks its candidate and the version that is live"
NO_FIRST = "no dataset of its line was there whole"
EARLIER = "an earlier release assessed it, which did not ask"


class Measured(NamedTuple):
    """A version's accuracy on `n` held-out rows of a first dataset; without one `reason` says why."""

    version: str
    dataset: str | None
    n: int
    accuracy: Mapping[str, Any] | None  # value, low, high
    reason: str | None

    def describe(self) -> str:
        """Writes the figure and what it rests on, or why there is none."""
        if self.accuracy is None:
            return f"not measured: {self.reason}"
        return f"{write_figure(self.accuracy)} on {write_count(self.n, 'held-out row')} of dataset {self.dataset}"


def find_newest(registry: Registry, version: str, dataset: str | None = None) -> dict[str, Any] | None:
    """Finds the newest such section among the runs that made a version and those that it descends from.

    `dataset`: of this first dataset only. None: no run compared any of them there, or nothing could be told.
    """
    return next((found for found in _list_sections(registry, version)
                 if found.get("versions") and dataset in (None, found.get("dataset"))), None)


class FirstHoldouts:
    """Every version of a model on the held-out rows of its first dataset; what was found once is read no more."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: dict[str, dict[str, Any]] = {}  # version -> `first` of its assessment, and nothing else of it

    def find(self) -> dict[str, Measured]:
        """Finds version -> what was measured, the newest version first; a figure is that of the newest assessment that has it."""
        versions = list(reversed(self._registry.versions()))
        found: dict[str, Measured] = {}
        for version in versions:
            for one in _read_measured(self._look(version)):
                found.setdefault(one.version, one)
        return {version: found.get(version) or Measured(version, None, 0, None, self._explain(version)) for version in versions}

    def _look(self, version: str) -> Mapping[str, Any] | None:
        if version not in self._kept:
            assessment = _read_assessment(self._registry, version) or _read_conversion(self._registry, version)
            if assessment is None:
                return None
            self._kept[version] = {name: value for name, value in assessment.items() if name == "first"}
        return self._kept[version]

    def _explain(self, version: str) -> str:
        assessment = self._look(version)
        if assessment is None:
            return NOT_ASKED
        if "first" not in assessment:
            return EARLIER
        first = assessment["first"]
        return str(first.get("reason") or NOT_ASKED) if isinstance(first, dict) else NO_FIRST


def _read_measured(assessment: Mapping[str, Any] | None) -> Iterator[Measured]:
    first = (assessment or {}).get("first")
    if not isinstance(first, dict):
        return
    for row in first.get("versions") or ():
        if isinstance(row, dict) and isinstance(row.get("accuracy"), dict):
            yield Measured(str(row["version"]), str(first.get("dataset")), int(row["n"]), row["accuracy"], None)


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


def _read_conversion(registry: Registry, version: str) -> dict[str, Any] | None:
    """Reads how a converted version was compared with the one that it was made of."""
    try:
        kept = NumberedDocuments(registry.storage, layout.assessments(registry.model, version)).newest()
    except DamagedDocument:
        return None
    return kept[1] if kept and isinstance(kept[1], dict) else None
