"""Writes the Petastorm files of a dataset; no other file writes with petastorm.

Tasks write one file each, from the row group of the index that describes it, so that rows, row groups and names
do not depend on how the work is divided. The stored bytes go in as they are (Petastorm's own encoder would compress
a second time). `materialize_dataset` then adds the `_common_metadata` that plain `make_reader` wants.
"""

import hashlib
import io
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from contract import layout
from contract.dataset_record import ROW, SPLITS, unischema
from contract.documents.manifest import DataFile
from contract.errors import Mismatch
from contract.stores.store import Storage
from jobs.datasets.tasks import Session
from jvm import task_store
from jvm.task_store import Where

COMMON_METADATA = "_common_metadata"


def write(spark: Session, storage: Storage, folder: str, index_key: str, places: Sequence[tuple[str, int, str]],
          rows_per_group: int, max_side: int | None) -> tuple[list[DataFile], dict[str, str]]:
    """Writes file n of `places` (split, file, row digest) from row group n of the index under `folder`.

    Returns the files in order and the hash of each split's `_common_metadata`. Mismatch when a stored image is not the
    one that the index names.
    """
    at = task_store.describe(storage)
    work = [(n, layout.dataset_file(folder, split, file), split, digest)
            for n, (split, file, digest) in enumerate(places)]
    used = [split for split in SPLITS if any(split == w[2] for w in work)]
    with ExitStack() as stack:
        for split in used:
            stack.enter_context(_materialize(spark, storage, f"{folder}{split}"))
        context = spark.sparkContext
        tasks = context.parallelize(work, min(len(work), 4 * context.defaultParallelism))
        files = tasks.map(lambda w: _write_file(at, index_key, w, rows_per_group, max_side)).collect()
    return files, {split: _digest_of_metadata(storage, layout.dataset_split(folder, split)) for split in used}


def _digest_of_metadata(storage: Storage, folder: str) -> str:
    return hashlib.sha256(storage.read(folder + COMMON_METADATA)).hexdigest()


@contextmanager
def _materialize(spark: Session, storage: Storage, folder: str) -> Iterator[None]:
    from petastorm.etl.dataset_metadata import materialize_dataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # petastorm uses pyarrow's legacy API throughout
        with materialize_dataset(spark, _url(storage, folder), unischema(), filesystem_factory=_filesystem(storage)):
            yield


def _url(storage: Storage, folder: str) -> str:
    """Petastorm does not decode percent-encoding, so the path stands in the URL as it is. For S3 it is `/bucket/prefix/…`
    of our own file system: for the scheme s3 Petastorm would need s3fs."""
    return f"file:///{storage.arrow()[1].lstrip('/')}/{folder}"


def _filesystem(storage: Storage) -> Any:
    """A function that makes the file system, in the driver and in Spark's tasks. For S3 see jobs/datasets/petastorm_s3.py."""
    if not storage.root.startswith("s3"):
        return _local
    from jobs.datasets.petastorm_s3 import make_filesystem

    return partial(make_filesystem, task_store.describe(storage))


def _local() -> Any:
    import pyarrow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pyarrow.localfs


def _write_file(at: Where, index_key: str, work: tuple, rows_per_group: int, max_side: int | None) -> DataFile:
    n, key, split, digest = work
    storage = task_store.open_there(at)
    rows = read_group(storage, index_key, n)
    for row in rows:
        row["image"] = _image(storage, row, max_side if split == "train" else None)
    data = encode(ROW, rows, rows_per_group)
    with tempfile.NamedTemporaryFile(prefix="trueup-") as file:
        file.write(data)
        file.flush()
        storage.put_file(key, Path(file.name))
    return DataFile(key=key, split=split, rows=len(rows), row_groups=-(-len(rows) // rows_per_group), size=len(data),
                    sha256=hashlib.sha256(data).hexdigest(), row_digest=digest)


def _image(storage: Storage, row: dict[str, Any], max_side: int | None) -> bytes:
    data = storage.read(row["image_uri"])
    if hashlib.sha256(data).hexdigest() != row["image_sha256"]:
        raise Mismatch(f"{storage.uri(row['image_uri'])}: expected the image of hash {row['image_sha256']}, got another. "
                       f"The file was damaged after it was looked at; start again, it will be left out.")
    if max_side is None or max(row["width"], row["height"]) <= max_side:
        return data
    return shrink(data, max_side)


def shrink(data: bytes, max_side: int) -> bytes:
    """A copy whose longer side is `max_side` pixels, upright, as PNG where it was PNG, else as JPEG of quality 92."""
    from PIL import Image

    from inference.model import grey16, preprocess

    wide = preprocess.decode_wide(data)
    image = preprocess.decode(data)
    scale = max_side / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    if wide is not None:
        return grey16.write_png(grey16.shrink(wide, size))
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    out = io.BytesIO()
    png = preprocess.inspect(data).format == "png"
    small.save(out, "PNG") if png else small.save(out, "JPEG", quality=92)
    return out.getvalue()


def encode(record: Any, rows: Sequence[dict[str, Any]], rows_per_group: int) -> bytes:
    """The rows as a Parquet file's bytes, in row groups of that many rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    table = pa.Table.from_pylist(list(rows), record.arrow())
    packed = {name: "none" if name == "image" else "snappy" for name in table.column_names}  # pictures are compressed already
    pq.write_table(table, out, row_group_size=rows_per_group, use_dictionary=False, compression=packed)
    return out.getvalue()


def read_group(storage: Storage, index_key: str, n: int) -> list[dict[str, Any]]:
    """Row group n of an index."""
    import pyarrow.parquet as pq

    system, base = storage.arrow()
    with pq.ParquetFile(f"{base}/{index_key}", filesystem=system) as file:
        return file.read_row_group(n).to_pylist()
