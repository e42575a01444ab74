"""An epoch's plan and what of its rows is kept: which units need no reading, what decoders are asked, what they answered."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contract.documents.manifest import DataFile
from training.feed.cache import Group, Known, PictureCache
from training.feed.chunks import Unit
from training.feed.decode import Answer, Task
from training.feed.plan import Plan


@dataclass(frozen=True)
class Epoch:
    """A plan and the names of its row groups; `unread`: numbers of the units of which all rows are kept as it begins."""

    plan: Plan
    names: Sequence[Group]
    kept: PictureCache
    unread: set[int]

    @classmethod
    def of(cls, files: Sequence[DataFile], row_groups: dict[str, list[int]], skip: int, sizes: Sequence[int], decoders: int,
           kept: PictureCache) -> "Epoch":
        """For rows from `skip` on of the files laid end to end; `row_groups`: rows of each, by the key of its file."""
        plan = Plan.of([rows for file in files for rows in row_groups[file.key]], skip, sizes, decoders)
        names = [(file.key, n) for file in files for n in range(len(row_groups[file.key]))]
        whole = (all(kept.known(names[unit.group], unit.low, unit.high)) for unit in plan.units)
        return cls(plan, names, kept, {n for n, known in enumerate(whole) if known})

    def reads(self) -> bool:
        """Whether any row has to be read."""
        return len(self.unread) < len(self.plan.units)

    def owner(self, number: int) -> int:
        """The number of the decoder of a unit."""
        return self.plan.shares.of(number, self.plan.units[number].group)

    def task(self, number: int, slots: Sequence[int | None]) -> Task:
        """What is asked of the decoder of a unit, whose parts go to these slots."""
        rows = self._rows(self.plan.units[number])
        outs = [(slot, part.at, part.rows) for slot, part in zip(slots, self.plan.parts[number], strict=True)]
        return Task(outs, [row and row.pixels for row in rows], [row.hash for row in rows] if number in self.unread else None)

    def taken(self, number: int, answer: Answer | None) -> tuple[list[int], list[str], list[np.ndarray]]:
        """Labels, hashes and pictures without a slot of a unit, as its decoder answered, which is remembered; None: it was
        unread, so all is known."""
        unit = self.plan.units[number]
        if answer is None:
            rows = self._rows(unit)
            return [row.label for row in rows], [row.hash for row in rows], []
        rows = [pixels and Known(label, hash_, pixels)
                for label, hash_, pixels in zip(answer.labels, answer.hashes, answer.pixels, strict=True)]
        self.kept.learn(self.names[unit.group], unit.low, rows)
        return answer.labels, answer.hashes, answer.pictures

    def _rows(self, unit: Unit) -> list[Known | None]:
        return self.kept.known(self.names[unit.group], unit.low, unit.high)
