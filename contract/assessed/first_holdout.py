"""What assessments found on the held-out rows of a line's first dataset: the section `first` of their documents.

It is written by training/forgetting.py; its `versions` have each version's accuracy there, those of earlier assessments too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from contract import layout
from contract.documents.history import Claim
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.registry import Registry
from contract.runs import Runs, parse_number
from contract.sequence import NumberedDocuments
from contract.texts.figures import write_count, write_figure

READS_AT_ONCE = 16
NOT_ASKED = "no assessment that is kept asked it; a run of the cycle keeps one of its candidate and the version that is live"
NO_FIRST = "no dataset of its line was there whole"
EARLIER = "an earlier release assessed it, which did not ask"
UNREADABLE = "its assessment cannot be read"


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
    """Every version of a model on the held-out rows of its first dataset; what a run found is read once."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: dict[str, dict[str, Any]] = {}  # version -> `first` of the assessment by its run, and nothing else of it

    def find(self) -> dict[str, Measured]:
        """Finds version -> what was measured, the newest version first; a figure is that of the newest assessment that has it."""
        found: dict[str, Measured] = {}
        reasons: dict[str, str] = {}
        for version, assessment in self._look_at_all():
            if isinstance(assessment, DamagedDocument):
                pass_over(assessment)
                assessment = UNREADABLE
            reasons[version] = _explain(assessment)
            for one in _read_measured(assessment):
                found.setdefault(one.version, one)
        return {version: found.get(version) or Measured(version, None, 0, None, why) for version, why in reasons.items()}

    def _look_at_all(self) -> Iterator[tuple[str, Mapping[str, Any] | str | DamagedDocument]]:
        """Yields each version, the newest first, with what `_look` finds. One waits for three documents, so many are looked at
        together."""
        versions = list(reversed(self._registry.versions()))
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            yield from zip(versions, pool.map(self._look, versions), strict=True)

    def _look(self, version: str) -> Mapping[str, Any] | str | DamagedDocument:
        """Looks up an assessment, or says why there is none to read. A converted version may be assessed again."""
        if version in self._kept:
            return self._kept[version]
        try:
            assessment = _read_assessment(self._registry, version)
            by_run = assessment is not None
            if not by_run:
                assessment = _read_conversion(self._registry, version)
        except DamagedDocument as error:
            return error
        if assessment is None:
            return NOT_ASKED
        kept = {name: value for name, value in assessment.items() if name == "first"}
        if by_run:
            self._kept[version] = kept
        return kept


def _explain(assessment: Mapping[str, Any] | str) -> str:
    if isinstance(assessment, str):
        return assessment
    if "first" not in assessment:
        return EARLIER
    first = assessment["first"]
    return str(first.get("reason") or NOT_ASKED) if isinstance(first, dict) else NO_FIRST


def _read_measured(assessment: Mapping[str, Any] | str) -> Iterator[Measured]:
    first = None if isinstance(assessment, str) else assessment.get("first")
    if not isinstance(first, dict):
        return
    for row in first.get("versions") or ():
        if isinstance(row, dict) and isinstance(row.get("accuracy"), dict) and isinstance(row.get("n"), int):
            yield Measured(str(row.get("version")), str(first.get("dataset")), row["n"], row["accuracy"], None)


def _list_sections(registry: Registry, version: str) -> Iterator[dict[str, Any]]:
    try:
        for card in registry.ancestors(version, missing_ok=True):
            found = _find_section(registry, card.version)
            if found is not None:
                yield found
    except DamagedDocument as error:  # a line with a hole ends there
        pass_over(error)


def _find_section(registry: Registry, version: str) -> dict[str, Any] | None:
    """Finds the section of the run that made a version: a report's role may not read comparisons of converted ones."""
    try:
        assessment = _read_assessment(registry, version)
    except DamagedDocument:
        return None
    first = (assessment or {}).get("first")
    return first if isinstance(first, dict) else None


def _read_assessment(registry: Registry, version: str) -> dict[str, Any] | None:
    """Reads how the run that made a version assessed it. DamagedDocument."""
    try:
        run = Claim.load(registry.storage, layout.claim(registry.model, version)).run
        return Runs(registry.storage, registry.model).get(parse_number(run)).stage("assess") if run else None
    except (NotFound, ValueError):
        return None


def _read_conversion(registry: Registry, version: str) -> dict[str, Any] | None:
    """Reads how a converted version was compared with the one that it was made of, the newest time. DamagedDocument."""
    number, found = NumberedDocuments(registry.storage, layout.assessments(registry.model, version)).newest() or (0, None)
    if number and not isinstance(found, dict):
        raise DamagedDocument(f"assessment {number} of version {version} of {registry.model!r}: expected a JSON object. "
                              f"Convert it again, and it is assessed again.")
    return found
