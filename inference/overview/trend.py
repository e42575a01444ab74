"""Accuracy day by day over all of a model's history, from the evaluations that are there.

An evaluation tells of the days of its window. The newest tells of the newest days, and of the days before them the newest
evaluation that was made when they were new: so 1,000 days take as many documents as windows fit into them. Evaluations
never change, so what was read is kept.
"""

from __future__ import annotations

from typing import Any

from contract.documents.evaluation import TrendPoint
from inference.overview.summaries import Summaries

MOST_READ = 60  # evaluations of one look; what is kept makes the next look go further back


class Trends:
    """The days of every evaluation that was looked at, of all models of a root."""

    def __init__(self, summaries: Summaries) -> None:
        self._summaries = summaries

    def find(self, model: str, names: list[str]) -> list[TrendPoint]:
        """Finds the days of the evaluations `names` (newest first), in the order of days. Reports of other roles are left out."""
        points: list[TrendPoint] = []
        first, before = "9999-99-99", self._summaries.read
        for name in names:
            if name[:8] > first.replace("-", "") and points:
                continue  # made after days that are known already: an older one tells of what lies before them
            mine = [p for p in self._read_days(model, name) if p["day"] < first]
            points = mine + points
            first = min([first, *(p["day"] for p in mine)])
            if self._summaries.read - before >= MOST_READ:
                break
        return points

    def _read_days(self, model: str, name: str) -> list[TrendPoint]:
        """Reads the days of an evaluation; none of another role, of one that is not finished, or that cannot be read."""
        found = self._summaries.find(model, name)
        return found["trend"] if found and found["role"] == "live" else []


def sum_days(points: list[TrendPoint], days: int) -> list[dict[str, Any]]:
    """Sums predictions and labels over versions for the newest days, oldest first."""
    sums: dict[str, dict[str, Any]] = {}
    for p in points:
        one = sums.setdefault(p["day"], {"day": p["day"], "predictions": 0, "labelled": 0})
        one["predictions"] += p["predictions"]
        one["labelled"] += p["labelled"]
    return [sums[day] for day in sorted(sums)][-days:]
