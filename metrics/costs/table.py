"""What each mistake costs, as arrays: a table by (label, predicted), a default for every other mistake, 0 for what is right.

A row that was called wrong without a class (`≠`, rule 4a) is a mistake of one of the other classes. Where the table has no
line for `≠` its cost is the plain mean over these, and bounds take the least and the greatest of them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from contract.counts import UNNAMED
from metrics.cells import Cells

Table = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Costs:
    """label -> predicted -> cost >= 0; `default` of mistakes that are not in it; `review`: of looking at one prediction."""

    table: Table = field(default_factory=dict)
    default: float = 1.0
    review: float | None = None

    @property
    def names(self) -> set[str]:
        """The classes that the table names."""
        return {name for label, row in self.table.items() for name in (label, *row)} - {UNNAMED}

    def of(self, label: str, predicted: str) -> float:
        """What it costs to answer `predicted` where `label` is right."""
        return self.table.get(label, {}).get(predicted, 0.0 if label == predicted else self.default)


@dataclass(frozen=True)
class CellCosts:
    """The cost of each cell: as it is taken, at the least and at the most. They differ for `≠` alone."""

    value: np.ndarray
    least: np.ndarray
    most: np.ndarray


def price(costs: Costs, cells: Cells, classes: Collection[str]) -> CellCosts:
    """The costs of labelled cells; `classes` are all classes of the version."""
    size = len(cells.names)
    of_pair = np.where(cells.label == cells.predicted, 0.0, costs.default)
    place = {name: i for i, name in enumerate(cells.names)}
    entries = {place[label] * size + place[said]: cost for label, row in costs.table.items() if label in place
               for said, cost in row.items() if said in place}
    if entries:
        keys, values = np.array(sorted(entries)), np.array([entries[key] for key in sorted(entries)])
        wanted = cells.label * size + cells.predicted
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        of_pair = np.where(keys[at] == wanted, values[at], of_pair)
    found = CellCosts(of_pair.copy(), of_pair.copy(), of_pair.copy())
    for i in np.flatnonzero(cells.unnamed):
        said = cells.names[cells.predicted[i]]
        found.value[i], found.least[i], found.most[i] = price_unnamed(costs, said, classes)
    return found


def price_unnamed(costs: Costs, predicted: str, classes: Collection[str]) -> tuple[float, float, float]:
    """(mean, least, most) cost of a wrong answer whose class nobody named."""
    if (known := costs.table.get(UNNAMED, {}).get(predicted)) is not None:
        return known, known, known
    others = [costs.of(label, predicted) for label in classes if label not in (predicted, UNNAMED)] or [costs.default]
    return sum(others) / len(others), min(others), max(others)


@dataclass(frozen=True)
class Levels:
    """The different costs above 0 that a prediction can have, ascending: whatever it is, by its label, by its answer."""

    all: list[float]
    of_label: Mapping[str, list[float]]
    of_answer: Mapping[str, list[float]]


def list_levels(costs: Costs, classes: Collection[str]) -> Levels:
    """Lists the costs that are possible among `classes`: what the table has, and the default where it leaves a mistake out."""
    there = sorted({*classes} - {UNNAMED})
    of_label: dict[str, set[float]] = {name: set() for name in there}
    of_answer: dict[str, set[float]] = {name: set() for name in there}
    priced = dict.fromkeys(there, 0), dict.fromkeys(there, 0)  # mistakes that the table has, by label and by answer
    for label, row in costs.table.items():
        for said, cost in row.items():
            if said in of_answer and (label in of_label or label == UNNAMED):
                of_answer[said].add(cost)
            if said in of_answer and label in of_label:
                of_label[label].add(cost)
                for counts, name in zip(priced, (label, said), strict=True):
                    counts[name] += label != said
    for found, counts in zip((of_label, of_answer), priced, strict=True):
        for name in there:
            if counts[name] < max(len(there) - 1, 1):
                found[name].add(costs.default)
    every = {costs.default} if not there else {cost for levels in of_answer.values() for cost in levels}
    return Levels(_sort(every), *({name: _sort(levels) for name, levels in of.items()} for of in (of_label, of_answer)))


def _sort(levels: Collection[float]) -> list[float]:
    return sorted(level for level in levels if level > 0)
