"""What has come since the live version's dataset was made: labelled predictions and mismatches, by class.

It rests on the counted days after the dataset's window, so it is a sum of cells like everything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Learnt:
    """The live version, its dataset (None: the training set is unknown) and the last prediction day in that."""

    version: str
    dataset: str | None
    last_day: str | None


def since_dataset(learnt: Learnt | None, days: Mapping[str, Any]) -> dict[str, Any] | None:
    """{"version", "dataset", "after", "labelled", "mismatches", "per_class": [{"label", "labelled", "mismatches"}]}.

    `days`: day -> Arrow cells (contract.counts.CELLS). Without a known dataset all counted days are new, and `reason`
    says so; None when no version is live.
    """
    if learnt is None:
        return None
    new: dict[str, list[int]] = {}
    for day in (d for d in sorted(days) if learnt.last_day is None or d > learnt.last_day):
        for row in _pairs(days[day]):
            counts = new.setdefault(row["label"], [0, 0])
            counts[0] += row["n_sum"]
            counts[1] += row["n_sum"] if row["label"] != row["predicted"] else 0
    made = {"version": learnt.version, "dataset": learnt.dataset, "after": learnt.last_day,
            "labelled": sum(n for n, _ in new.values()), "mismatches": sum(m for _, m in new.values()),
            "per_class": [{"label": x, "labelled": n, "mismatches": m} for x, (n, m) in sorted(new.items())]}
    return made if learnt.dataset else {**made, "reason": "the live version's dataset is not known: all days count as new"}


def _pairs(cells: Any) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    labelled = cells.filter(pc.is_valid(cells["label"]))
    return labelled.group_by(["label", "predicted"]).aggregate([("n", "sum")]).to_pylist()
