"""Runs a worker's tasks: a chunk of rows is read and decoded, or its pixels are cached; the crops go into batch buffers."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.model import preprocess as shared
from training.feed.buffers import BatchBuffers
from training.feed.cache import CachedPixels, CacheWriter
from training.feed.crop import crop_into, decode_picture
from training.feed.plan import WorkerPlan
from training.feed.row_source import Row

ReadChunks = Callable[..., Iterator[list[Row]]]  # training.feed.row_source.RowSource.read_chunks
BufferSlice = tuple[int, int, int]  # number of a buffer, first row in it, rows


class DecodeTask(NamedTuple):
    """A chunk to read: the buffer slices that its rows fill (none where pictures have no fixed size), and the pixels of those
    rows that are cached."""

    outs: list[BufferSlice]
    pixels: list[CachedPixels | None]


class CachedTask(NamedTuple):
    """A chunk of which all rows are cached, so that nothing is read: their buffer slices, pixels and image hashes."""

    outs: list[BufferSlice]
    pixels: list[CachedPixels]
    hashes: list[str]


class DecodeResult(NamedTuple):
    """What was found in a chunk that was read."""

    labels: list[int]
    hashes: list[str]
    pictures: list[NDArray[np.uint8]]  # [3, H, W] each, where pictures have no fixed size and so no buffer
    pixels: list[CachedPixels | None]  # where each row is cached now


class TaskRunner:
    """Runs the tasks of one worker in their order.

    `buffers` and `segments` (of the cache) are memory that all workers share.
    """

    def __init__(self, plan: WorkerPlan, buffers: BatchBuffers, segments: Sequence[NDArray[np.uint8]],
                 read_chunks: ReadChunks) -> None:
        self.plan = plan
        self.buffers = buffers
        self.cache = CacheWriter(segments, dict(plan.cache_used))
        chunks = read_chunks(plan.paths, plan.groups, plan.chunks, plan.shard, plan.shards)
        # Opens the files now, while other workers start; where all chunks are cached there is none.
        self.chunks = chain(list(islice(chunks, 1)), chunks)

    def __call__(self, task: DecodeTask | CachedTask) -> DecodeResult | None:
        """Fills the task's buffer slices; returns None where nothing was read that the rank does not know."""
        if isinstance(task, CachedTask):
            pictures = (pixels.view(self.cache.segments) for pixels in task.pixels)
            self._crop(task.outs, task.hashes, pictures)
            return None
        rows = next(self.chunks)
        labels = [row.label_index for row in rows]
        hashes = [row.image_sha256 for row in rows]
        if self.plan.preprocess.crop is None:
            return DecodeResult(labels, hashes, self._decode_whole(rows), [None] * len(rows))
        pixels = list(task.pixels)
        self._crop(task.outs, hashes, self._decode(rows, pixels))
        return DecodeResult(labels, hashes, [], pixels)

    def _decode_whole(self, rows: Sequence[Row]) -> list[NDArray[np.uint8]]:
        return [shared.to_uint8(row.image, self.plan.preprocess).numpy()  # type: ignore[arg-type]  # it reads any buffer
                for row in rows]

    def _decode(self, rows: Sequence[Row], pixels: list[CachedPixels | None]) -> Iterator[NDArray[np.uint8]]:
        """Yields each row's picture, uint8 [H, W, 3]; what is decoded goes to the cache, its location into `pixels`."""
        for n, row in enumerate(rows):
            if cached := pixels[n]:
                yield cached.view(self.cache.segments)
            else:
                picture = decode_picture(row.image, self.plan.preprocess)
                pixels[n] = self.cache.write(picture)
                yield picture

    def _crop(self, slices: Sequence[BufferSlice], hashes: Sequence[str], pictures: Iterator[NDArray[np.uint8]]) -> None:
        windows = self.plan.windows(hashes) if self.plan.windows else [None] * len(hashes)
        outs = (out for number, first, rows in slices for out in self.buffers.view(number, first, rows))
        for picture, window, out in zip(pictures, windows, outs, strict=True):
            crop_into(picture, window, out)
