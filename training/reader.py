"""Rows of a dataset in a given order; the one file that reads petastorm.

Files are opened by a list of URLs. So no `_common_metadata` is opened (it holds a pickle), and the order is ours:
Petastorm's own sharding cannot give equal steps, and its thread pools give no order.
"""

import hashlib
import os
import shutil
import tempfile
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.card import Preprocess
from contract.errors import Mismatch
from contract.manifest import DataFile
from contract.storage import Storage
from training.world import pieces

COLUMNS = ("image_sha256", "image", "label", "label_index", "origin", "day", "selection_probability")
AHEAD = 2  # steps that are decoded while one is trained on


@dataclass(frozen=True)
class Sample:
    """One row: what training and assessment want of it."""

    image_sha256: str
    image: bytes
    label: str
    label_index: int
    origin: str
    day: str
    selection_probability: float | None


def rows(storage: Storage, files: Sequence[DataFile], low: int, high: int) -> Iterator[Sample]:
    """Rows [low, high) of the files laid end to end in the order given. Mismatch when a file has other rows."""
    mine = pieces([f.rows for f in files], low, high)
    if not mine:
        return
    wanted = [files[n] for n, _, _ in mine]
    skip, left = mine[0][1], high - low
    with staged(storage, wanted) as paths:
        for row in _all_rows(paths):
            if skip:
                skip -= 1
                continue
            if not left:
                break
            left -= 1
            yield row
    if left:
        raise Mismatch(f"{storage.uri(wanted[-1].key)} and before: expected {high - low} rows by the manifest, got "
                       f"{high - low - left}. A file was damaged or replaced; make the dataset again.")


def _all_rows(paths: Sequence[Path]) -> Iterator[Sample]:
    # Petastorm uses pyarrow's legacy API throughout, also while it reads.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"petastorm\b")
    from petastorm import make_batch_reader

    opened = make_batch_reader([f"file://{path}" for path in paths], reader_pool_type="dummy",
                               shuffle_row_groups=False, schema_fields=[f"^{name}$" for name in COLUMNS])
    with opened as reader:
        for group in reader:
            columns = [getattr(group, name) for name in COLUMNS]
            for values in zip(*columns, strict=True):
                yield _sample(*values)


def _sample(sha256: Any, image: bytes, label: Any, index: Any, origin: Any, day: Any, p: Any) -> Sample:
    known = p is not None and p == p
    return Sample(str(sha256), image, str(label), int(index), str(origin), str(day), float(p) if known else None)


class staged:  # noqa: N801  (used like a function)
    """The files as local paths: a folder's own, or copies of S3 objects (checked) that are removed afterwards.

    Petastorm's own S3 access does not work with our pyarrow, and a local copy is read again in the next epoch.
    """

    def __init__(self, storage: Storage, files: Sequence[DataFile]) -> None:
        self.storage, self.files = storage, files
        self.folder: str | None = None

    def __enter__(self) -> list[Path]:
        if not self.storage.root.startswith("s3"):
            return [self.storage.path(f.key) for f in self.files]
        self.folder = tempfile.mkdtemp(prefix="trueup-read-")
        return [self._copy(n, f) for n, f in enumerate(self.files)]

    def _copy(self, n: int, file: DataFile) -> Path:
        data = self.storage.read(file.key)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise Mismatch(f"{self.storage.uri(file.key)}: expected the sha256 {file.sha256} of the manifest, got another. "
                           f"The file was damaged or replaced; make the dataset again.")
        path = Path(self.folder or "", f"{n:05d}.parquet")
        path.write_bytes(data)
        return path

    def __exit__(self, *_: object) -> None:
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Batch:
    """The rows of one step: uint8 [n, 3, H, W], int64 [n], and their image hashes. n may be 0."""

    images: Any
    labels: Any
    hashes: list[str]


def batches(samples: Iterator[Sample], sizes: Sequence[int], preprocess: Preprocess,
            threads: int | None = None) -> Iterator[Batch]:
    """Batches of these sizes, decoded by threads a few steps ahead; the order is that of the rows, whatever they do."""
    with ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="decode") as pool:
        waiting: deque[list[tuple[Sample, Future]]] = deque()
        for size in sizes:
            waiting.append([_submit(pool, next(samples), preprocess) for _ in range(size)])
            if len(waiting) > AHEAD:
                yield _collected(waiting.popleft(), preprocess)
        while waiting:
            yield _collected(waiting.popleft(), preprocess)
    for _ in samples:  # ends the reader, which then says whether all rows were there
        raise Mismatch("expected the steps to cover all rows, got more rows. Please report this.")


def _submit(pool: ThreadPoolExecutor, sample: Sample, preprocess: Preprocess) -> tuple[Sample, Future]:
    from inference.preprocess import to_uint8

    return sample, pool.submit(to_uint8, sample.image, preprocess)


def _collected(rows_: list[tuple[Sample, Future]], preprocess: Preprocess) -> Batch:
    import torch

    images = [future.result() for _, future in rows_]
    stacked = torch.stack(images) if images else torch.empty(0, 3, 1, 1, dtype=torch.uint8)
    return Batch(stacked, torch.tensor([s.label_index for s, _ in rows_], dtype=torch.int64),
                 [s.image_sha256 for s, _ in rows_])
