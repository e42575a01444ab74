"""The thresholds of a model, as its history has them, and what they decide of an answer (docs/design.md#accept-or-review)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from contract.confidence import confidence_bin
from contract.documents.history import HistoryEntry, State
from contract.registry import Registry
from contract.samples import is_accepted

Decision = Literal["accept", "review"]
ACCEPT: Decision = "accept"
REVIEW: Decision = "review"


@dataclass(frozen=True)
class Thresholds:
    """`at`: predicted label -> the confidence from which on it is accepted, of one version.

    `evaluation` chose them, by labels of the days `first` to `last` (YYYY-MM-DD, both included; empty: not known). `target`:
    the accuracy that they were chosen for, where one was named.
    """

    version: str
    at: Mapping[str, float]
    evaluation: str = ""
    first: str = ""
    last: str = ""
    target: float | None = None

    def decide(self, version: str, label: str, confidence: float | None) -> Decision:
        """Says whether an answer of a version is accepted unseen or goes to review; by confidence bins, as counts know them."""
        at, found = self.at.get(label), confidence_bin(confidence)
        if version != self.version or at is None or found is None:
            return REVIEW
        return ACCEPT if is_accepted(found, at) else REVIEW

    def chose_by(self, day: str) -> bool:
        """Says whether labels of a prediction day chose them."""
        return self.first <= day <= self.last


def read_state(state: State) -> Thresholds | None:
    """Reads the thresholds of a state; None where there are none, or where nobody knows of which version they are."""
    of = state.thresholds_of
    if of is None:
        return None
    return Thresholds(of.version, dict(state.thresholds), of.evaluation, of.first, of.last, of.target)


def find_thresholds(registry: Registry, as_of: str) -> Thresholds | None:
    """Finds the thresholds of the newest record that was there at a moment (ISO 8601, as records have it); None without any."""
    found = find_record(registry, as_of)
    return read_state(found.state) if found else None


def find_record(registry: Registry, as_of: str) -> HistoryEntry | None:
    """Finds the newest record of a moment that can be read; None before the first."""
    newest, _ = registry.newest_known()
    if newest is None or newest.at <= as_of:
        return newest
    return pick_record(registry.history_known()[0], as_of)


def pick_record(records: Sequence[HistoryEntry], as_of: str) -> HistoryEntry | None:
    """Picks the newest record of a moment from `records`, which stand oldest first; None before the first."""
    return next((r for r in reversed(records) if r.at <= as_of), None)
