"""Datasets and jobs that are made on the spot, as the loop reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

from contract import layout
from contract.documents.card import Preprocess
from contract.documents.manifest import DataFile, LeakageCheck, Manifest, Table
from contract.settings import TrainSettings
from contract.stores.store import Storage
from training.fit.job import Job

DATASET, MODEL = "made", "m"
NO_HASH = "0" * 64


def write_manifest(storage: Storage, files: Mapping[str, int], classes: Sequence[str]) -> Manifest:
    """Writes a manifest that names files by key (`split/number`) with their rows, as the loop reads it."""
    listed = [DataFile(key=key, split=key.split("/")[0], rows=rows, row_groups=1, size=0, sha256=NO_HASH, row_digest=NO_HASH)
              for key, rows in files.items()]
    rows = {split: sum(f.rows for f in listed if f.split == split) for split in ("train", "validation", "holdout")}
    table = Table(key="none", sha256=NO_HASH, rows=0)
    made = Manifest(dataset=DATASET, attempt="1", model=MODEL, created_at="2026-01-01T00:00:00Z", as_of="2026-01-01T00:00:00Z",
                    classes=list(classes), rows=rows, per_class={}, label_sources={}, replayed={}, files=listed, index=table,
                    left_out={}, listed=table, leakage=LeakageCheck(images_in_two_splits=0, near_bits=0, near_left_out=0),
                    settings={}, split_by="as made", common_metadata={})
    storage.put(layout.manifest(DATASET), made.to_bytes())
    return made


def make_job(root: str, name: str, network: str, classes: Sequence[str], side: int, threads: int, ranks: int = 1,
             start: str | None = None, resize: int | None = None, **settings: Any) -> Job:
    """Returns a job on the made dataset; its checkpoints lie under a folder of its `name`."""
    train = TrainSettings(**({"augment": "none"} | settings))
    return Job(root=root, model=MODEL, dataset=DATASET, network=network, classes=list(classes), parent=None, start=start,
               preprocess=Preprocess(resize=resize or side, crop=side), settings=train.model_dump(mode="json"), ranks=ranks,
               threads=threads, folder=f"checkpoints/{name}/")
