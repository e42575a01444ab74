"""What has come since the live version's dataset was made: labelled predictions and mismatches, by class.

It rests on the counted days after the dataset's window, so it is a sum of cells like everything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from contract.counts import UNNAMED
from contract.documents.evaluation import SinceDataset
from metrics.window import DayFigures


@dataclass(frozen=True)
class Learnt:
    """The live version, its dataset (None: the training set is unknown) and the last prediction day in that."""

    version: str
    dataset: str | None
    last_day: str | None


def count_since_dataset(learnt: Learnt | None, days: Sequence[DayFigures]) -> SinceDataset | None:
    """{"version", "dataset", "after", "labelled", "mismatches", "per_class": [{"label", "labelled", "mismatches"}]}.

    Without a known dataset all counted days are new, and `reason` says so; None when no version is live.
    """
    if learnt is None:
        return None
    new: dict[str, list[int]] = {}
    for day in (d for d in days if learnt.last_day is None or d.day > learnt.last_day):
        for row in day.classes.to_pylist():
            counts = new.setdefault(row["label"], [0, 0])
            counts[0] += row["n"]
            counts[1] += row["n"] - row["right"]
    made: SinceDataset = {
        "version": learnt.version, "dataset": learnt.dataset, "after": learnt.last_day,
        "labelled": sum(n for n, _ in new.values()), "mismatches": sum(m for _, m in new.values()),
        "per_class": [{"label": x, "labelled": n, "mismatches": m} for x, (n, m) in sorted(new.items()) if x != UNNAMED]}
    return made if learnt.dataset else {**made, "reason": "the live version's dataset is not known: all days count as new"}
