"""An epoch's plan and what of its rows is kept: which units need no reading, what decoders are asked, what they answered."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contract.manifest import DataFile
from training.filling import Answer, Task
from training.kept import Group, Kept, Known
from training.plan import Plan
from training.units import Unit


@dataclass(frozen=True)
class Epoch:
    """A plan, with the names of its row groups, what is kept, and the numbers of the units of which all rows are kept."""

    plan: Plan
    names: Sequence[Group]
    kept: Kept
    known: set[int]

    @classmethod
    def of(cls, files: Sequence[DataFile], groups: dict[str, list[int]], skip: int, sizes: Sequence[int], decoders: int,
           kept: Kept) -> "Epoch":
        """For rows from `skip` on of the files laid end to end; `groups`: rows of each row group, by the key of its file."""
        plan = Plan.of([rows for file in files for rows in groups[file.key]], skip, sizes, decoders)
        made = cls(plan, [(file.key, n) for file in files for n in range(len(groups[file.key]))], kept, set())
        made.known.update(n for n, unit in enumerate(plan.units) if all(made.rows(unit)))
        return made

    def rows(self, unit: Unit) -> list[Known | None]:
        """What is kept of a unit."""
        return self.kept.known(self.names[unit.group], unit.low, unit.high)

    def task(self, number: int, slots: Sequence[int | None]) -> Task:
        """What is asked of the decoder of a unit, whose parts go to these slots."""
        rows = self.rows(self.plan.units[number])
        outs = [(slot, part.at, part.rows) for slot, part in zip(slots, self.plan.parts[number], strict=True)]
        return Task(outs, [row and row.pixels for row in rows], [row.hash for row in rows] if number in self.known else None)

    def learn(self, number: int, answer: Answer | None) -> tuple[list[int], list[str], list[np.ndarray]]:
        """Labels, hashes and pictures without a slot of a unit, by what its decoder answered."""
        unit = self.plan.units[number]
        if answer is None:
            rows = self.rows(unit)
            return [row.label for row in rows], [row.hash for row in rows], []
        rows = [pixels and Known(label, hash_, pixels)
                for label, hash_, pixels in zip(answer.labels, answer.hashes, answer.pixels, strict=True)]
        self.kept.learn(self.owner(number), self.names[unit.group], unit.low, rows, answer.used)
        return answer.labels, answer.hashes, answer.pictures

    def owner(self, number: int) -> int:
        """The number of the decoder of a unit."""
        return self.plan.shares.of(number, self.plan.units[number].group)
