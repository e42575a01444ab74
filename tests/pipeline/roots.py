"""Small roots for tests of the order of things: a published version, and a day of predictions with labels."""

import tempfile
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract import clock, ids, layout
from contract.documents.card import Card, Preprocess
from contract.records import LABEL, PREDICTION
from contract.registry import Registry, file_sha256
from contract.storage import open_root

MODEL = "digits"
DAY = clock.day_of(clock.now() - timedelta(days=2))  # of late: a log that ends longer ago is stale


def make_root(root: str, right: int, n: int, labelled: int | None = None, day: str = DAY, version: str = "1") -> str:
    """A root in which version 1 is live and answered `n` times on `day`, `right` of them right by audit labels."""
    storage = open_root(root, create=True)
    registry = Registry(storage, MODEL)
    if not registry.versions():
        with tempfile.TemporaryDirectory() as folder:
            write_version(registry, registry.claim(by="test"), Path(folder))
        registry.promote("1", by="test", reason="first", expected_live=None)
    predictions, labels = rows(n, right, n if labelled is None else labelled, day, version)
    put_rows(storage, PREDICTION, "predictions", predictions, day, version)
    put_rows(storage, LABEL, "labels", labels, day, version)
    return root


def write_version(registry: Registry, version: str, folder: Path, dataset: str | None = None, parent: str | None = None):
    """Weights of one number that depends on the dataset, and a card."""
    from safetensors.numpy import save_file

    file = folder / "weights.safetensors"
    save_file({"w": np.frombuffer((dataset or "none").encode(), np.uint8).copy()}, file)
    card = Card(model=registry.model, version=version, created_at=clock.iso(clock.now()), network="fake",
                classes=["a", "b"], weights_sha256=file_sha256(file), weights_bytes=file.stat().st_size,
                preprocess=Preprocess(), dataset=dataset, parent=parent)
    registry.write_version(card, file)
    file.unlink()


def rows(n: int, right: int, labelled: int, day: str = DAY, version: str = "1"):
    """`n` predictions of classes a and b in turn, and audit labels of the first `labelled`, `right` of which agree."""
    noon = clock.parse_moment(f"{day}T12:00:00Z")
    predictions, labels = [], []
    for i in range(n):
        at = noon + timedelta(seconds=i)
        name = ids.uuid7(at, entropy=f"{version:>2}{i:08d}".encode())
        said, other = ("a", "b") if i % 2 else ("b", "a")
        predictions.append({"prediction_id": name, "predicted_at": at, "model": MODEL, "model_version": version,
                            "predicted_label": said, "confidence": 0.9, "role": "live"})
        if i < labelled:
            # The wrong ones are spread over both classes.
            labels.append({"label_id": ids.uuid7(at, entropy=f"l{version:>1}{i:08d}".encode()), "prediction_id": name,
                           "label": said if i < right else other, "labeler": "ana", "labeled_at": at + timedelta(hours=1),
                           "origin": "audit", "saw_prediction": False, "selection_probability": 0.5})
    return predictions, labels


def put_rows(storage, record, table: str, values: list[dict], day: str = DAY, writer: str = "w"):
    """Writes rows as a service would."""
    sink = BytesIO()
    pq.write_table(pa.Table.from_pylist(values, schema=record.arrow()), sink)
    storage.put(layout.row_file(table, day, f"test{writer}", 1, max(len(values), 1)), sink.getvalue())
