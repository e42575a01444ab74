"""A dataset by hand: a manifest and an index of one row, no pictures; for tests that read its documents alone."""

import hashlib
import io

import pyarrow as pa
import pyarrow.parquet as pq

from contract import layout
from contract.dataset_record import INDEX, SPLITS
from contract.documents.manifest import LeakageCheck, Manifest, Table
from contract.stores.store import Storage

SHA256 = "a" * 64
ROW = {"image_sha256": SHA256, "label": "a", "label_index": 0, "origin": "import", "votes": 1, "agreeing": 1, "day": "2026-11-20",
       "image_uri": f"images/aa/{SHA256}.png", "width": 8, "height": 8, "split": "train", "file": 0, "bytes": 100, "near": 0}


def put(storage: Storage, dataset: str, model: str) -> Manifest:
    """Writes dataset `dataset` of `model`: an index of one training row."""
    folder = layout.dataset_attempt(dataset, "attempt-1")
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([ROW], INDEX.arrow()), out)
    index, listed = (write(storage, key, data) for key, data in ((layout.dataset_index(folder), out.getvalue()),
                                                                 (layout.dataset_left_out(folder), b"[]")))
    made = Manifest(dataset=dataset, attempt="attempt-1", model=model, created_at="t", as_of="2026-11-20T00:00:00Z",
                    classes=["a"], rows={"train": 1, "validation": 0, "holdout": 0}, per_class={s: {} for s in SPLITS},
                    label_sources={}, replayed={}, files=[], index=index, left_out={}, listed=listed, settings={},
                    split_by="hash", common_metadata={},
                    leakage=LeakageCheck(images_in_two_splits=0, near_bits=2, near_left_out=0))
    storage.put(layout.manifest(dataset), made.to_bytes())
    return made


def write(storage: Storage, key: str, data: bytes) -> Table:
    """Writes a file beside the splits; what the manifest says of it."""
    storage.put(key, data)
    return Table(key=key, sha256=hashlib.sha256(data).hexdigest(), rows=1)
