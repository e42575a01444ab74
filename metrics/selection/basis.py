"""What the labels of an origin rest on: whether they are a sample whose probabilities are known, and was answered.

An audit counts as unbiased where a sample document says how its items were chosen and at least 90% of those asked were
answered (docs/design.md#samples). Which items a sample asked follows from a hash; how many, on average, from the counts.
The shortfall that chance alone explains (one-sided 95%) is forgiven: a sample asks now more, now fewer than its mean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.samples import KINDS, Cell, Sample, expected
from contract.texts.figures import write_count, write_percent
from metrics.window import DayFigures

if TYPE_CHECKING:
    import pyarrow as pa

ENOUGH, CHANCE = 0.9, 1.645
UNKNOWN = {"import": "imported labels; how they were chosen is not known",
           "feedback": "feedback; people correct what they notice"}


@dataclass(frozen=True)
class Basis:
    """`rests_on` is a sentence for people; the rate is None where no sample document says what was asked."""

    unbiased: bool
    rests_on: str
    response_rate: float | None = None


def basis_of(origin: str, samples: Mapping[str, Sample], days: Sequence[DayFigures]) -> Basis:
    """What the labels of one origin class rest on, of all versions. `samples`: day -> the sample of that kind."""
    if origin not in KINDS:
        return Basis(False, UNKNOWN[origin])
    answered = {day.day: n for day in days if (n := day.answered[origin])}
    alone = sum(n for day, n in answered.items() if day not in samples)
    if alone:
        return Basis(False, f"{origin} labels, {alone} of {sum(answered.values())} of days without a sample document")
    return _rated(origin, sum(answered.values()), samples, days)


def _rated(origin: str, answered: int, samples: Mapping[str, Sample], days: Sequence[DayFigures]) -> Basis:
    asked, variance = 0.0, 0.0
    for day in (d for d in days if d.day in samples):
        cells, sample = _cells(day.predictions), samples[day.day]
        asked += expected(sample, cells)
        variance += _variance(sample, cells)
    if not asked:
        return Basis(False, f"{origin} labels of a sample that asked about nothing")
    rate = answered / asked
    part = "all" if rate >= 1 else f"{write_percent(rate)} of about {asked:.0f}"
    said = f"{origin} sample, {write_count(answered, 'answer')}: {part} drawn items"
    if answered + CHANCE * math.sqrt(variance) < ENOUGH * asked:
        return Basis(False, f"{said}: below {write_percent(ENOUGH)}, so who was answered may matter", rate)
    return Basis(True, said, rate)


def _variance(sample: Sample, cells: Mapping[Cell, int]) -> float:
    table = sample.table()
    return math.fsum(n * p * (1 - p) for cell, n in cells.items() for p in [table.get(cell, sample.default)])


def _cells(table: "pa.Table") -> dict[Cell, int]:
    return {Cell(row["predicted"], row["confidence_bin"]): row["n"] for row in table.to_pylist()}
