"""Accuracy day by day over all of a model's history, from the evaluations that are there.

An evaluation tells of the days of its window. The newest tells of the newest days, and of the days before them the newest
evaluation that was made when they were new: so 1,000 days take as many documents as windows fit into them. Evaluations
never change, so what was read is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from contract import layout
from contract.documents.evaluation import Evaluation, TrendPoint
from contract.errors import DamagedDocument
from contract.evaluations import find_evaluation
from contract.stores.store import Storage

MOST_READ = 60  # evaluations of one look; what is kept makes the next look go further back
KEPT = 400


class Trends:
    """The days of every evaluation that was looked at, of all models of a root."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: OrderedDict[tuple[str, str], Evaluation | None] = OrderedDict()
        self._read = 0

    def find(self, model: str, names: list[str]) -> list[TrendPoint]:
        """Finds the days of the evaluations `names` (newest first), in the order of days. Reports of other roles are left out."""
        points: list[TrendPoint] = []
        first, self._read = "9999-99-99", 0
        for name in names:
            if name[:8] > first.replace("-", "") and points:
                continue  # made after days that are known already, so it tells of nothing older that an older one does not
            evaluation = self.read(model, name)
            if evaluation is None or evaluation["role"] != "live" or not evaluation["trend"]:
                continue
            mine = [p for p in evaluation["trend"] if p["day"] < first]
            points = mine + points
            first = min([first, *(p["day"] for p in mine)])
            if self._read >= MOST_READ:
                break
        return points

    def read(self, model: str, name: str) -> Evaluation | None:
        """Reads an evaluation, once; None for one that is not finished or cannot be read."""
        key = (model, name)
        if key not in self._kept:
            self._read += 1
            try:
                found = find_evaluation(self._storage, model, name)
            except (DamagedDocument, ValueError):  # /reports names it
                found = None
            self._kept[key] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]


def list_names(storage: Storage, model: str) -> list[str]:
    """Lists a model's evaluations, newest first."""
    return sorted(storage.folders(layout.evaluations(model)), reverse=True)


def sum_days(points: list[TrendPoint], days: int) -> list[dict[str, Any]]:
    """Sums predictions and labels over versions for the newest days, oldest first."""
    sums: dict[str, dict[str, Any]] = {}
    for p in points:
        one = sums.setdefault(p["day"], {"day": p["day"], "predictions": 0, "labelled": 0})
        one["predictions"] += p["predictions"]
        one["labelled"] += p["labelled"]
    return [sums[day] for day in sorted(sums)][-days:]
