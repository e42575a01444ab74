"""A root by hand whose live version was trained on a dataset of drawn photographs, and days of predictions of such pictures."""

import hashlib
import io
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageEnhance, ImageFilter

from contract import clock, ids, layout
from contract.dataset_record import INDEX
from contract.documents.manifest import LeakageCheck, Manifest, Table
from contract.records import LABEL, PREDICTION
from contract.registry import Registry
from contract.storage import open_root
from tests.pipeline.roots import MODEL, put_rows, write_version

DATASET = "d0"
LAST = clock.day_of(clock.now() - timedelta(days=1))
DAYS = [clock.day_of(clock.parse_moment(LAST) - timedelta(days=n)) for n in range(2, -1, -1)]


def draw(seed: int, change=None, size=(64, 48)) -> bytes:
    """A PNG: smooth patches of light and colour with some grain, in an exposure of its own."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 200, (6, 8, 3)) * rng.uniform(0.7, 1.2)
    image = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = np.asarray(image, float) + rng.normal(0, rng.uniform(3, 9), (size[1], size[0], 1))
    image = Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))
    sink = io.BytesIO()
    (change(image) if change else image).save(sink, "PNG")
    return sink.getvalue()


def darken(image):
    return ImageEnhance.Brightness(image).enhance(0.5)


def blur(image):
    return image.filter(ImageFilter.GaussianBlur(2))


def widen(image):
    return image.resize((image.width * 2, image.height))


def make(root: str, trained: int = 120, tmp: Path | None = None, dataset: bool = True):
    """A root with a live version, and its dataset of `trained` pictures; returns its storage."""
    storage = open_root(root, create=True)
    if dataset:
        put_dataset(storage, [draw(10_000 + i) for i in range(trained)])
    registry = Registry(storage, MODEL)
    write_version(registry, registry.claim(by="test"), tmp, dataset=DATASET if dataset else None)
    registry.promote("1", by="test", reason="first", expected_live=None)
    return storage


def store(storage, data: bytes) -> tuple[str, str]:
    sha256 = hashlib.sha256(data).hexdigest()
    key = layout.image(sha256, "png")
    storage.put(key, data)
    return sha256, key


def put_dataset(storage, pictures, dataset: str = DATASET, held_out=()) -> None:
    rows = []
    for split, data in [*(("train", data) for data in pictures), *(("holdout", data) for data in held_out)]:
        sha256, key = store(storage, data)
        width, height = Image.open(io.BytesIO(data)).size
        rows.append({"image_sha256": sha256, "label": "a", "label_index": 0, "origin": "audit", "votes": 1, "agreeing": 1,
                     "prediction_id": None, "day": "2026-01-01", "image_uri": key, "width": width, "height": height,
                     "split": split, "file": 0, "bytes": len(data), "near": 0})
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, INDEX.arrow()), sink)
    key = layout.dataset_index(layout.dataset_attempt(dataset, "1"))
    storage.put(key, sink.getvalue())
    table = Table(key=key, sha256=hashlib.sha256(sink.getvalue()).hexdigest(), rows=len(rows))
    made = Manifest(dataset=dataset, attempt="1", model=MODEL, created_at=clock.iso(clock.now()), as_of=clock.iso(clock.now()),
                    classes=["a", "b"], rows={"train": len(rows)}, per_class={}, label_sources={}, replayed={}, files=[],
                    index=table, left_out={}, listed=table, settings={}, split_by="", common_metadata={},
                    leakage=LeakageCheck(images_in_two_splits=0, near_bits=2, near_left_out=0))
    storage.put(layout.manifest(dataset), made.to_bytes())


def put_day(storage, day: str, pictures, writer: str = "w", labelled: int = 0, wrong=()) -> list[dict]:
    """Predictions of these pictures (bytes), the first `labelled` audited, those at the places `wrong` wrong."""
    noon, predictions, labels = clock.parse_moment(f"{day}T12:00:00Z"), [], []
    for i, data in enumerate(pictures):
        sha256, key = store(storage, data)
        at = noon + timedelta(seconds=i)
        name = ids.uuid7(at, entropy=hashlib.sha256(f"{writer}{day}{i}".encode()).digest()[:10])
        width, height = Image.open(io.BytesIO(data)).size
        predictions.append({"prediction_id": name, "predicted_at": at, "model": MODEL, "model_version": "1",
                            "predicted_label": "a", "confidence": 0.9, "role": "live", "image_sha256": sha256,
                            "image_uri": key, "width": width, "height": height, "bytes": len(data)})
        if i < labelled:
            labels.append({"label_id": ids.uuid7(at), "prediction_id": name, "label": "b" if i in wrong else "a",
                           "labeler": "ana", "labeled_at": at + timedelta(hours=1), "origin": "audit",
                           "saw_prediction": False, "selection_probability": 0.5})
    put_rows(storage, PREDICTION, "predictions", predictions, day, writer)
    if labels:
        put_rows(storage, LABEL, "labels", labels, day, writer)
    return predictions
