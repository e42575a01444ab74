"""An epoch's plan together with the cache: which chunks need no reading, the tasks of the workers, and their results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from contract.documents.manifest import DataFile
from training.feed.cache import CachedRow, GroupKey, PictureCache
from training.feed.decode import CachedTask, DecodeResult, DecodeTask
from training.feed.plan import Plan


@dataclass(frozen=True)
class Epoch:
    """A plan, the keys of its row groups, the cache, and the numbers of the chunks that were all cached when it began."""

    plan: Plan
    group_keys: Sequence[GroupKey]
    cache: PictureCache
    cached: set[int]

    @classmethod
    def make(cls, files: Sequence[DataFile], row_groups: dict[str, list[int]], skip: int, sizes: Sequence[int],
             max_workers: int, cache: PictureCache) -> "Epoch":
        """Plans steps of `sizes` rows from row `skip` on of the files laid end to end.

        `row_groups`: rows of each row group, by the key of its file.
        """
        plan = Plan.make([rows for file in files for rows in row_groups[file.key]], skip, sizes, max_workers)
        keys = [(file.key, n) for file in files for n in range(len(row_groups[file.key]))]
        cached = {n for n, chunk in enumerate(plan.chunks) if all(cache.find(keys[chunk.group], chunk.low, chunk.high))}
        return cls(plan, keys, cache, cached)

    def needs_reading(self) -> bool:
        """Whether any row has to be read."""
        return len(self.cached) < len(self.plan.chunks)

    def worker_of(self, number: int) -> int:
        """Returns the number of the worker of chunk `number`."""
        return self.plan.assignment.worker_of(number, self.plan.chunks[number].group)

    def make_task(self, number: int, buffers: Sequence[int]) -> DecodeTask | CachedTask:
        """Returns the task of chunk `number`; `buffers`: that of each of its steps, none where pictures have no fixed size."""
        slices = self.plan.slices[number] if buffers else ()
        outs = [(buffer, part.first, part.rows) for buffer, part in zip(buffers, slices, strict=True)]
        if number in self.cached:
            cached = self._find_cached(number)
            return CachedTask(outs, [row.pixels for row in cached], [row.hash for row in cached])
        return DecodeTask(outs, [row and row.pixels for row in self._find(number)])

    def record_result(self, number: int, result: DecodeResult | None
                      ) -> tuple[list[int], list[str], list[NDArray[np.uint8]]]:
        """Remembers what chunk `number`'s worker cached; returns the labels, image hashes, and pictures without a buffer.

        `result`: None where nothing was read, for all of the chunk was cached.
        """
        if result is None:
            cached = self._find_cached(number)
            return [row.label for row in cached], [row.hash for row in cached], []
        rows = [pixels and CachedRow(label, hash_, pixels)
                for label, hash_, pixels in zip(result.labels, result.hashes, result.pixels, strict=True)]
        chunk = self.plan.chunks[number]
        self.cache.add(self.group_keys[chunk.group], chunk.low, rows)
        return result.labels, result.hashes, result.pictures

    def _find(self, number: int) -> list[CachedRow | None]:
        chunk = self.plan.chunks[number]
        return self.cache.find(self.group_keys[chunk.group], chunk.low, chunk.high)

    def _find_cached(self, number: int) -> list[CachedRow]:
        return cast(list[CachedRow], self._find(number))  # of a chunk in `cached` no row is None
