"""What the live version still knows of the first dataset, as the overview says it, beside what others knew."""

from __future__ import annotations

from typing import NamedTuple

from contract import clock
from contract.assessed.first_holdout import FirstHoldouts, Measured
from contract.registry import Registry
from contract.stores.store import Storage

LOOKED_S = 60.0  # the page asks every few seconds, and a run takes minutes
LOOKED_FOR_NEW_S = 5.0  # where the last look did not find what is live: it was published since
MOST = 5


class Known(NamedTuple):
    """The live version on the first dataset's held-out rows, and others on the same ones: the newest, and the first."""

    live: Measured
    others: list[Measured]


class Forgotten:
    """Reads the assessments of the models of a root, each once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._of: dict[str, FirstHoldouts] = {}
        self._looks: dict[str, tuple[float, dict[str, Measured]]] = {}

    def find(self, model: str, live: str | None) -> Known | None:
        """Finds what to say of a model; None where nothing is live that has a card."""
        found = self._look(model, live)
        if live is None or live not in found:
            return None
        one = found[live]
        measured = [other for other in found.values() if other.accuracy is not None and other.version != live]
        same = [other for other in measured if other.dataset == (one.dataset or measured[0].dataset)]
        return Known(one, [*same[:MOST - 1], *same[MOST - 1:][-1:]])

    def _look(self, model: str, live: str | None) -> dict[str, Measured]:
        known, now = self._looks.get(model), clock.monotonic()
        if known is None or now - known[0] > (LOOKED_S if live is None or live in known[1] else LOOKED_FOR_NEW_S):
            of = self._of.setdefault(model, FirstHoldouts(Registry(self._storage, model)))
            known = self._looks[model] = now, of.find()
        return known[1]
