"""How often each cell of a day is right, and what else a row of it can be: guesses from earlier labels, to plan an audit by.

A wrong guess costs labels and never truth: the audit that is planned by it weighs its rows by the probabilities that it
wrote down. A cell is shrunk towards its confidence bin, and the bin towards the confidence itself, each by a prior of
SHRINK labels (the mean of a beta posterior; Gelman and others, Bayesian Data Analysis, 2013, 2.4), so that no cell is
taken to be always right, and what nobody judged yet is taken to be as good as it says.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.confidence import EDGES
from contract.counts import BINS, CELLS, CONFIDENCE_SCALE, SLICES, UNNAMED, DayCounts, sum_by
from contract.samples import Cell

if TYPE_CHECKING:
    import pyarrow as pa

SHRINK = 10.0  # labels that a prior is worth
NOTHING_KNOWN = 0.5  # of rows without a confidence, before any label: the variance is largest there, so they are asked
FEW = 0.5  # wrong rows that each class is credited with, so that a class that never was the truth may be


@dataclass(frozen=True)
class Rates:
    """A guess for each cell, in the order of `cells`.

    `n`: its predictions on the days that are planned; `right`: the share of them that is right, in (0, 1); `mistaken`:
    (predicted, label) -> the share of that label among the mistakes on those predicted so. `labels`: earlier labels that
    it rests on.
    """

    cells: list[Cell]
    n: np.ndarray
    right: np.ndarray
    labels: int = 0
    mistaken: "Mistaken | None" = None

    @property
    def accuracy(self) -> float:
        """The share of right answers over all cells."""
        return float((self.n * self.right).sum() / self.n.sum())

    def expect_label(self, label: str) -> np.ndarray:
        """The share of each cell that is truly `label`."""
        found = [right if cell.predicted == label else (1 - right) * self._mistake(cell.predicted, label)
                 for cell, right in zip(self.cells, self.right.tolist(), strict=True)]
        return np.array(found)

    def _mistake(self, predicted: str, label: str) -> float:
        return self.mistaken.share(predicted, label) if self.mistaken else 0.0


class Mistaken:
    """What the mistakes on each predicted label truly were: `counts` is (predicted, label) -> wrong rows, `≠` left out."""

    def __init__(self, counts: Mapping[tuple[str, str], int], classes: Collection[str]) -> None:
        self._counts, self._classes = dict(counts), len({*classes, *(label for _, label in counts)})
        self._of_predicted: dict[str, int] = {}
        self._of_label: dict[str, int] = {}
        for (predicted, label), n in counts.items():
            self._of_predicted[predicted] = self._of_predicted.get(predicted, 0) + n
            self._of_label[label] = self._of_label.get(label, 0) + n

    def share(self, predicted: str, label: str) -> float:
        """The share of `label` among the mistakes on `predicted`, shrunk towards its share among all mistakes."""
        everywhere = (self._of_label.get(label, 0) + FEW) / (sum(self._counts.values()) + FEW * max(self._classes, 1))
        of_predicted = self._of_predicted.get(predicted, 0)
        return (self._counts.get((predicted, label), 0) + SHRINK * everywhere) / (of_predicted + SHRINK)


def select_history(days: Iterable[DayCounts], version: str | None, origins: Collection[str]) -> "pa.Table":
    """Selects of counted days the cells of one version whose labels are of these origins, and the unlabelled ones.

    Of all versions where `version` is None or has no such label.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pa.concat_tables([CELLS.arrow().empty_table(), *(day.tables["cells"] for day in days)])
    believed = pc.or_(pc.is_null(cells["label"]), pc.is_in(cells["origin"], pa.array(sorted(origins), pa.string())))
    cells = cells.filter(pc.fill_null(believed, False))
    mine = cells.filter(pc.equal(cells["model_version"], version)) if version is not None else cells
    return mine if pc.any(pc.is_valid(mine["label"])).as_py() else cells


def estimate_rates(cells: Mapping[Cell, int], history: "pa.Table") -> Rates:
    """Estimates the rates of cells with `n` > 0 predictions from earlier labelled cells (`select_history`)."""
    kept = [cell for cell, n in cells.items() if n]
    right, total, mistakes = _count_labels(history)
    by_bin = _rate_bins(right, total, _mean_confidences(history))
    rates = [_shrink(right.get(cell, 0), total.get(cell, 0), by_bin[cell.bin]) for cell in kept]
    classes = {cell.predicted for cell in (*kept, *total)}
    return Rates(kept, np.array([cells[cell] for cell in kept], float), np.array(rates), sum(total.values()),
                 Mistaken(mistakes, classes))


def _shrink(right: float, n: float, prior: float) -> float:
    return (right + SHRINK * prior) / (n + SHRINK)


def _count_labels(history: "pa.Table") -> tuple[dict[Cell, int], dict[Cell, int], dict[tuple[str, str], int]]:
    """Counts (right rows, labelled rows) by cell, and the wrong ones by (predicted, label)."""
    right: dict[Cell, int] = {}
    total: dict[Cell, int] = {}
    mistakes: dict[tuple[str, str], int] = {}
    for row in sum_by(history, ["predicted", "confidence_bin", "label"]).to_pylist():
        if row["label"] is None:
            continue
        cell, n = Cell(row["predicted"], row["confidence_bin"]), row["n"]
        total[cell] = total.get(cell, 0) + n
        if row["label"] == row["predicted"]:
            right[cell] = right.get(cell, 0) + n
        elif row["label"] != UNNAMED:
            at = (row["predicted"], row["label"])
            mistakes[at] = mistakes.get(at, 0) + n
    return right, total, mistakes


def _mean_confidences(history: "pa.Table") -> dict[int, float]:
    """The mean confidence of each bin of what was predicted; the bin's middle where nothing was."""
    found = {k: (EDGES[k] + EDGES[k + 1]) / 2 for k in range(BINS)}
    for row in sum_by(history, ["confidence_bin"], ("n", "sum_confidence")).to_pylist():
        if row["confidence_bin"] is not None and row["n"]:
            found[row["confidence_bin"]] = row["sum_confidence"] / CONFIDENCE_SCALE / row["n"]
    return found


def _rate_bins(right: Mapping[Cell, int], total: Mapping[Cell, int], said: Mapping[int, float]) -> dict[Any, float]:
    """The rate of each bin over all predicted labels; of rows without a bin (None) too."""
    of_bin: dict[Any, list[int]] = {k: [0, 0] for k in (None, *range(BINS))}
    for cell, n in total.items():
        of_bin[cell.bin][0] += right.get(cell, 0)
        of_bin[cell.bin][1] += n
    return {k: _shrink(r, n, NOTHING_KNOWN if k is None else said[k]) for k, (r, n) in of_bin.items()}


def share_of_slice(days: Iterable[DayCounts], name: str, value: str) -> dict[str, float]:
    """The share of a slice's value among the predictions of each predicted label; empty when no day counted that slice."""
    import pyarrow as pa
    import pyarrow.compute as pc

    slices = pa.concat_tables([SLICES.arrow().empty_table(), *(day.tables["slices"] for day in days)])
    counted = sum_by(slices.filter(pc.equal(slices["slice"], name)), ["predicted", "value"]).to_pylist()
    total: dict[str, int] = {}
    mine: dict[str, int] = {}
    for row in counted:
        total[row["predicted"]] = total.get(row["predicted"], 0) + row["n"]
        if row["value"] == value:
            mine[row["predicted"]] = row["n"]
    everywhere = sum(mine.values()) / max(sum(total.values()), 1)
    return {d: (mine.get(d, 0) + SHRINK * everywhere) / (n + SHRINK) for d, n in total.items()} if mine else {}
