"""Rows of a dataset in a given order; the one file that reads petastorm.

Files are opened by a list of URLs. So no `_common_metadata` is opened (it holds a pickle), and the order is ours:
Petastorm's own sharding cannot give equal steps, and its thread pools give no order.
"""

import hashlib
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.errors import Mismatch
from contract.manifest import DataFile
from contract.storage import Storage
from training.world import pieces

COLUMNS = ("image_sha256", "image", "label", "label_index", "origin", "day", "selection_probability")


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
    _all_listed(opened.ventilator)
    with opened as reader:
        for group in reader:
            columns = [getattr(group, name) for name in COLUMNS]
            for values in zip(*columns, strict=True):
                yield _sample(*values)


def _all_listed(ventilator: Any) -> None:
    """Petastorm lists three row groups at a time, and who finds the list empty sleeps for a tenth of a second. So all are
    listed before the first is read."""
    ventilator._max_ventilation_queue_size = sys.maxsize
    while not ventilator.completed():
        time.sleep(0.001)


def _sample(sha256: Any, image: bytes, label: Any, index: Any, origin: Any, day: Any, p: Any) -> Sample:
    known = p is not None and p == p
    return Sample(str(sha256), image, str(label), int(index), str(origin), str(day), float(p) if known else None)


class staged:  # noqa: N801  (used like a function)
    """The files as local paths: a folder's own, or copies of S3 objects (checked) that are removed afterwards.

    Petastorm's own S3 access does not work with our pyarrow. A copy is one request, and its sha256 is known before the
    first row is used.
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
