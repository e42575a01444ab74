"""The loop without Petastorm: rows in memory, or JPEG files, its epochs timed, or stopped after a checkpoint."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import torch

from contract.documents.manifest import DataFile
from contract.storage import open_root
from contract.stores.store import Storage
from training.feed.batches import Batch
from training.feed.chunks import Chunk
from training.feed.row_source import Row
from training.fit.checkpoint import Checkpoints
from training.fit.job import Job
from training.fit.loop import Loop
from training.fit.process_group import join_process_group


class Rows(NamedTuple):
    """Rows in memory: uint8 [n, 3, H, W], int64 [n], image hashes."""

    images: torch.Tensor
    labels: torch.Tensor
    hashes: list[str]


class MemoryFeed:
    """A training.feed.batches.BatchSource over rows in memory, by the key of their file. They are as large as the network's
    input, so nothing is cropped."""

    def __init__(self, rows: Mapping[str, Rows]) -> None:
        self.rows = rows

    def batches(self, files: Sequence[DataFile], low: int, sizes: Sequence[int], windows: Any = None) -> Iterator[Batch]:
        """Yields batches of `sizes` rows from row `low` of the files laid end to end."""
        parts = [self.rows[file.key] for file in files]
        images, labels = torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts])
        hashes = [name for part in parts for name in part.hashes]
        for size in sizes:
            yield Batch(images[low:low + size], labels[low:low + size], hashes[low:low + size])
            low += size

    def close(self) -> None:
        """Holds nothing that must be freed."""


class JpegFiles:
    """A training.feed.row_source.RowSource over JPEG files: each `file` of the manifest is a list of (path, label index)."""

    GROUP = 128

    def __init__(self, files: Mapping[str, Sequence[tuple[str, int]]]) -> None:
        self.files = files

    def prepare(self) -> None:
        """Reading needs nothing."""

    def open(self, storage: Storage, files: Sequence[DataFile]) -> AbstractContextManager[Sequence[Path]]:
        """Gives the keys as they are."""
        return nullcontext([Path(file.key) for file in files])

    def read_row_groups(self, storage: Storage, file: DataFile, path: Path) -> list[int]:
        """Returns groups of 128 rows and the rest."""
        return [min(self.GROUP, file.rows - low) for low in range(0, file.rows, self.GROUP)]

    def read_chunks(self, paths: Sequence[Path], groups: Sequence[int], chunks: Sequence[Chunk], shard: int = 0,
                    shards: int = 1) -> Iterator[list[Row]]:
        """Yields the rows of each chunk, read from their files."""
        rows = [row for path in paths for row in self.files[str(path)]]
        starts = [0, *accumulate(groups)]
        for chunk in chunks:
            first = starts[chunk.group]
            yield [Row(hashlib.sha256(path.encode()).hexdigest(), Path(path).read_bytes(), label)
                   for path, label in rows[first + chunk.low:first + chunk.high]]


def split_rows(split: str, rows: Rows, files: int) -> dict[str, Rows]:
    """Cuts rows into `files` files, by key."""
    ends = [n * len(rows.hashes) // files for n in range(files + 1)]
    return {f"{split}/{n}": Rows(rows.images[low:high], rows.labels[low:high], rows.hashes[low:high])
            for n, (low, high) in enumerate(zip(ends, ends[1:], strict=False))}


class TimedLoop(Loop):
    """Keeps the seconds of each epoch, validation not counted in."""

    def _run_epoch(self, epoch: int, first: int) -> None:
        self.seconds: list[float] = getattr(self, "seconds", [])
        self.began = time.perf_counter()
        super()._run_epoch(epoch, first)

    def _validate(self) -> dict[str, float] | None:
        self.seconds.append(time.perf_counter() - self.began)
        return super()._validate()

    def measure_rate(self) -> float | None:
        """Returns rows a second of the fastest half of the epochs after the first; None when there was one epoch."""
        later = sorted(self.seconds[1:])
        later = later[:max(1, (len(later) + 1) // 2)]
        return self.world.rows * len(later) / sum(later) if later else None


class Stopped(Exception):
    """Training ends here, as if it was killed after a checkpoint."""


class StoppingLoop(Loop):
    """Ends after its first checkpoint."""

    def _save_when_due(self, epoch: int, step: int) -> None:
        before = self.saved_at
        super()._save_when_due(epoch, step)
        if self.saved_at != before:
            raise Stopped


def train(job: Job, device: str, feed: Any, kind: type[Loop] = TimedLoop) -> Any:
    """Trains as one rank in this process on cpu or cuda, and returns the loop."""
    with join_process_group(job.threads, alone=True, device_asked=device) as group:
        loop = kind(job, group, feed)
        loop.run()
        return loop


def read_result(job: Job) -> tuple[bytes, dict[str, Any]]:
    """Returns the finished weights of a job and the last entry of its history."""
    found = Checkpoints(open_root(job.root), job.folder, job.digest()).read_final()
    if found is None:
        raise RuntimeError(f"{job.folder}: expected a final document, there is none")
    weights, facts = found
    return weights, facts["history"][-1] | {"sha256": facts["sha256"]}
