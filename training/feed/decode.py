"""What a decoder does with a unit of rows: it reads and decodes it, or takes pixels that are kept, and lays them into batches."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from inference.model import preprocess as shared
from training.feed import reader
from training.feed.buffers import Slots
from training.feed.cache import Pixels, Room
from training.feed.crop import decoded, lay
from training.feed.plan import Work
from training.feed.reader import Row


class Task(NamedTuple):
    """A unit, and what is known of its rows."""

    outs: list[tuple[int | None, int, int]]  # slot, first place in it, rows
    pixels: list[Pixels | None]  # where those of each row are kept
    hashes: list[str] | None  # of an unread unit; None: read it


class Answer(NamedTuple):
    """What was found out about a unit that was read."""

    labels: list[int]
    hashes: list[str]
    pictures: list[np.ndarray]  # that have no slot
    pixels: list[Pixels | None]  # where those of each row are kept now


class Filler:
    """Answers the tasks of a work in their order.

    `slots` and `parts` (of training.feed.cache) are what all decoders have in common.
    """

    def __init__(self, work: Work, slots: Slots, parts: Sequence[np.ndarray]) -> None:
        self.work, self.slots, self.room = work, slots, Room(parts, dict(work.room))
        units = reader.of_units(work.paths, work.groups, work.units, work.shard, work.shards)
        # Opens the files now, while others are begun; where all units are unread there is none.
        self.units = chain(list(islice(units, 1)), units)

    def __call__(self, task: Task) -> Answer | None:
        """None: nothing was read that the rank does not know."""
        if task.hashes is not None:
            self._lay(task, task.hashes, (pixels.of(self.room.parts) for pixels in task.pixels))
            return None
        rows = next(self.units)
        labels, hashes = [row.label_index for row in rows], [row.image_sha256 for row in rows]
        if self.work.preprocess.crop is None:
            pictures = [shared.to_uint8(row.image, self.work.preprocess).numpy() for row in rows]
            return Answer(labels, hashes, pictures, [None] * len(rows))
        pixels = list(task.pixels)
        self._lay(task, hashes, self._decoded(rows, pixels))
        return Answer(labels, hashes, [], pixels)

    def _decoded(self, rows: Sequence[Row], pixels: list[Pixels | None]) -> Iterator[np.ndarray]:
        for n, row in enumerate(rows):
            if there := pixels[n]:
                yield there.of(self.room.parts)
            else:
                picture = decoded(row.image, self.work.preprocess)
                pixels[n] = self.room.keep(picture)
                yield picture

    def _lay(self, task: Task, hashes: Sequence[str], pictures: Iterator[np.ndarray]) -> None:
        places = self.work.windows(hashes) if self.work.windows else [None] * len(hashes)
        outs = (out for slot, at, n in task.outs for out in self.slots.view(slot, at, n))
        for picture, place, out in zip(pictures, places, outs, strict=True):
            lay(picture, self.work.preprocess.crop, place, out)
