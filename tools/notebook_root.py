"""The root on which the notebooks are shown: digits, two versions of a model, six days; the same whenever it is made."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract import clock, ids, layout
from contract.documents.card import Card, Preprocess
from contract.records import LABEL, PREDICTION
from contract.registry import Registry, file_sha256
from contract.storage import open_root
from contract.stores.store import Storage
from jobs import evaluate

MODEL = "digits"
DAYS = ("2026-11-10", "2026-11-11", "2026-11-12", "2026-11-13", "2026-11-14", "2026-11-15")
A_DAY = 160
# What a version takes a digit for when it is wrong, and how often out of a hundred it is.
TAKEN_FOR = {"1": "7", "3": "8", "4": "9", "7": "1", "8": "3", "9": "4"}
WRONG = {"1": {"1": 45, "4": 30, "8": 40, "9": 50, "3": 20}, "2": {"1": 6, "8": 10, "7": 8, "3": 4}}
ANYTHING = 3


def make_root(folder: Path) -> str:
    """Makes it in an empty folder, and returns its address. The model gets worse on the third day; version 2 is live from the
    fifth."""
    storage = open_root(str(folder), create=True)
    registry = Registry(storage, MODEL)
    _write_version(registry, folder, "1", DAYS[0])
    images, digits = _load_digits()
    dice = np.random.default_rng(7)
    for number, day in enumerate(DAYS):
        version = "2" if number >= 4 else "1"
        mistakes = WRONG[version] if number >= 2 else {}
        chosen = dice.permutation(len(digits))[:A_DAY]
        _write_day(storage, day, version, [(images[i], str(digits[i])) for i in chosen], mistakes, dice)
    _write_version(registry, folder, "2", DAYS[4])
    end = clock.iso(clock.parse_moment(f"{DAYS[-1]}T23:59:59Z"))
    if evaluate.main(["--root", str(folder), "--model", MODEL, "--from", DAYS[0], "--to", DAYS[-1], "--as-of", end]):
        raise RuntimeError("the root for the notebooks could not be evaluated")
    return str(folder)


def _load_digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return (255 - np.minimum(found.images * 16, 255)).astype(np.uint8).repeat(4, 1).repeat(4, 2), found.target


def _write_version(registry: Registry, folder: Path, version: str, day: str) -> None:
    from safetensors.numpy import save_file

    file = folder.with_name(f"weights-{version}.safetensors")
    save_file({"w": np.full(4, int(version), np.uint8)}, file)
    with mock.patch.object(clock, "now", lambda: clock.parse_moment(f"{day}T08:00:00Z")):  # the history tells when
        _publish(registry, file, version)
    file.unlink()


def _publish(registry: Registry, file: Path, version: str) -> None:
    registry.claim(by="example")
    registry.write_version(Card(model=MODEL, version=version, created_at=f"{DAYS[0]}T08:00:00.000000Z", network="resnet18",
                                classes=[str(n) for n in range(10)], weights_sha256=file_sha256(file),
                                weights_bytes=file.stat().st_size, preprocess=Preprocess(resize=32, crop=32)), file)
    registry.promote(version, by="example", reason="the first" if version == "1" else "trained on what people said of the first",
                     expected_live=None if version == "1" else "1")


def _write_day(storage: Storage, day: str, version: str, pictures: list[tuple[np.ndarray, str]], mistakes: dict[str, int],
               dice: np.random.Generator) -> None:
    noon = clock.parse_moment(f"{day}T12:00:00Z")
    predictions, labels = [], []
    for i, (pixels, digit) in enumerate(pictures):
        at = noon + timedelta(seconds=20 * i)
        wrong = dice.integers(100) < mistakes.get(digit, ANYTHING)
        said = TAKEN_FOR.get(digit, "5") if wrong else digit
        prediction = ids.uuid7(at, f"p{i:09d}".encode())
        predictions.append(_describe(storage, pixels) | {
            "prediction_id": prediction, "predicted_at": at, "model": MODEL, "model_version": version, "predicted_label": said,
            "confidence": float(dice.uniform(0.4, 0.8) if wrong else dice.uniform(0.7, 0.999)), "role": "live"})
        if i % 2 == 0:
            labels.append({"label_id": ids.uuid7(at, f"l{i:09d}".encode()), "prediction_id": prediction, "label": digit,
                           "labeler": "anna" if i % 4 else "ben", "labeled_at": at + timedelta(hours=1), "origin": "audit",
                           "saw_prediction": False, "selection_probability": 0.5, "strategy": "random-audit"})
    for table, record, rows in ((layout.PREDICTIONS, PREDICTION, predictions), (layout.LABELS, LABEL, labels)):
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=record.arrow()), out)
        storage.put(layout.row_file(table, day, "example", 1, len(rows)), out.getvalue())


def _describe(storage: Storage, pixels: np.ndarray) -> dict[str, Any]:
    """Stores a picture, and returns what a row says of it."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    sha = hashlib.sha256(out.getvalue()).hexdigest()
    storage.put(layout.image(sha, "png"), out.getvalue())
    return {"image_sha256": sha, "image_uri": layout.image(sha, "png"), "width": pixels.shape[1], "height": pixels.shape[0]}
