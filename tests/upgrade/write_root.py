"""Writes a small root with the release whose code is on PYTHONPATH: see README.md beside this file.

    PYTHONPATH=CHECKOUT python tests/upgrade/write_root.py FOLDER

Imports nothing of this checkout, and only what releases of rules 1 had. Time stands still at `NOW`.
"""

import hashlib
import io
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract import clock, ids, layout
from contract.documents.card import Card, Preprocess
from contract.records import LABEL, PREDICTION
from contract.registry import Registry, file_sha256
from contract.storage import open_root

MODEL, DAYS, CLASSES, SIDE = "tiny", ("2026-11-09", "2026-11-10"), ("blue", "red"), 16
NETWORK = "tests.inference.own_network:build"
NOW = clock.to_us(clock.parse_moment("2026-11-11T00:00:00Z"))
MINE = {"train.launcher": "process", "train.epochs": 3, "train.batch": 16, "train.checkpoint_steps": 100,
        "dataset.files": 1, "gates.max_drop": 0.99, "gates.max_class_drop": 0.99, "cycle.takeover_seconds": 0,
        "cycle.beat_seconds": 3600}
OPTIONS = [word for name, value in MINE.items() for word in ("--set", f"{name}={value}")]
ROWS = 60


def main(place: str) -> int:
    """Under `root`: version 1, two days of rows, a sample, a whole cycle that publishes version 2. Beside it an outbox."""
    folder = str(Path(place, "root"))
    clock.now_us = lambda: NOW
    storage = open_root(folder, create=True)
    publish(storage)
    for day in DAYS:
        put_day(storage, day)
    from pipeline import cli

    ask = ["--root", folder, "--model", MODEL]
    done = [cli.main(words) for words in (
        ["evaluate", *ask, "--to", DAYS[0]], ["review", "sample", *ask, "--day", DAYS[1], "--p", "0.5", "--salt", "s"],
        ["cycle", *ask, "--in-process", *OPTIONS])]
    put_outbox(Path(place))
    return max(done)


def put_outbox(place: Path) -> None:
    """An outbox of a service that was killed: a row of each table, one of them cut for an upload that never began."""
    import asyncio

    from inference.outbox.outbox import Outbox

    outbox = Outbox(place / "outbox", open_root(str(place / "root")).root, 1 << 20)
    at = clock.now()
    row = {"prediction_id": ids.uuid7(at, entropy=b"waiting00p"), "predicted_at": NOW, "model": MODEL,
           "model_version": "2", "predicted_label": CLASSES[0], "confidence": 0.5, "role": "live"}
    label = {"label_id": ids.uuid7(at, entropy=b"waiting00l"), "prediction_id": row["prediction_id"], "label": CLASSES[0],
             "labeler": "ana", "labeled_at": NOW, "origin": "feedback", "saw_prediction": True}

    async def fill() -> None:
        await outbox.append_prediction(row, None, "hash", {"prediction_id": row["prediction_id"]})
        await outbox.append_labels([label])

    asyncio.run(fill())
    outbox.cut("predictions", ids.day_of(row["prediction_id"]), 1 << 20)
    outbox.close()


def publish(storage) -> None:
    """Version 1: a layer of zeros, which calls every picture by the first class."""
    import torch
    from safetensors.torch import save_file

    registry = Registry(storage, MODEL)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "w.safetensors")
        save_file({"2.weight": torch.zeros(len(CLASSES), 12), "2.bias": torch.zeros(len(CLASSES))}, file)
        card = Card(model=MODEL, version=registry.claim(by="test"), created_at=clock.iso(clock.now()), network=NETWORK,
                    classes=list(CLASSES), preprocess=Preprocess(resize=SIDE, crop=SIDE),
                    weights_sha256=file_sha256(file), weights_bytes=file.stat().st_size)
        registry.write_version(card, file)
    registry.promote("1", by="test", reason="first", expected_live=None)


def put_day(storage, day: str) -> None:
    """Pictures of a day, what version 1 said (all blue), and labels: right for half of them, one taken back, one twice."""
    noon, predictions, labels = clock.parse_moment(f"{day}T12:00:00Z"), [], []
    for i in range(ROWS):
        at, true = noon + timedelta(seconds=i), CLASSES[i % 2]
        data = make_picture(true, seed=int(day[-2:]) * 1000 + i)
        sha256 = hashlib.sha256(data).hexdigest()
        storage.put(layout.image(sha256, "png"), data)
        name = ids.uuid7(at, entropy=f"p{i:09d}".encode())
        predictions.append({"prediction_id": name, "predicted_at": at, "recorded_at": at, "model": MODEL, "model_version": "1",
                            "predicted_label": CLASSES[0], "confidence": 0.5, "role": "live", "top_labels": list(CLASSES),
                            "top_probabilities": [0.5, 0.5], "image_sha256": sha256,
                            "image_uri": layout.image(sha256, "png"), "width": SIDE, "height": SIDE, "bytes": len(data)})
        labels += [make_label(name, at, true, f"l{i:09d}")] if i < ROWS - 4 else []
    first = predictions[0]
    labels += [make_label(first["prediction_id"], first["predicted_at"], CLASSES[1], "second000", hours=2),
               make_label(predictions[1]["prediction_id"], predictions[1]["predicted_at"], None, "back00000", hours=2,
                          withdraws=True)]
    put_rows(storage, PREDICTION, day, predictions)
    put_rows(storage, LABEL, day, labels)


def make_label(prediction: str, at, label: str | None, entropy: str, hours: int = 1, **more) -> dict:
    """A row of an audit label."""
    return {"label_id": ids.uuid7(at, entropy=entropy.encode()), "prediction_id": prediction, "label": label,
            "labeler": "ana", "labeled_at": at + timedelta(hours=hours), "origin": "audit", "saw_prediction": False,
            "selection_probability": 0.5} | more


def put_rows(storage, record, day: str, values: list[dict]) -> None:
    """Writes rows as a service would; a whole second as the file's time, which archives keep exactly."""
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(values, schema=record.arrow()), sink)
    key = layout.row_file(record.name, day, "old", 1, len(values))
    storage.put(key, sink.getvalue())
    os.utime(Path(storage.root.removeprefix("file://"), key), ns=(NOW * 1000, NOW * 1000))


def make_picture(name: str, seed: int) -> bytes:
    """A noisy PNG, more blue or more red."""
    from PIL import Image

    grid = np.random.default_rng(seed).integers(0, 40, (SIDE, SIDE, 3))
    grid[..., 2 if name == "blue" else 0] += 150
    out = io.BytesIO()
    Image.fromarray(grid.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
