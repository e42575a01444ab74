"""A root with everything a real cycle needs, by hand: a tiny published network, stored pictures, predictions, labels."""

import hashlib
import io
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np

from contract import clock, ids, layout
from contract.documents import manifest
from contract.documents.card import Card, Preprocess
from contract.records import LABEL, PREDICTION
from contract.registry import Registry, file_sha256
from contract.storage import open_root
from tests.pipeline.roots import put_rows

MODEL, DAY, CLASSES = "tiny", "2026-11-10", ("bars", "dots")
NETWORK, SIDE = "squeezenet1_1", 32


def make(root: str, n: int = 60, right: int = 30) -> str:
    """`n` pictures that version 1 answered, `right` of them right by audit labels."""
    storage = open_root(root, create=True)
    publish(storage)
    noon, predictions, labels = clock.parse_moment(f"{DAY}T12:00:00Z"), [], []
    for i in range(n):
        at, true, false = noon + timedelta(seconds=i), CLASSES[i % 2], CLASSES[1 - i % 2]
        data = picture(true, seed=i)
        sha256 = hashlib.sha256(data).hexdigest()
        storage.put(layout.image(sha256, "png"), data)
        name = ids.uuid7(at, entropy=f"p{i:09d}".encode())
        predictions.append({"prediction_id": name, "predicted_at": at, "model": MODEL, "model_version": "1",
                            "predicted_label": true if i < right else false, "confidence": 0.6, "role": "live",
                            "image_sha256": sha256, "image_uri": layout.image(sha256, "png"), "width": SIDE,
                            "height": SIDE, "bytes": len(data)})
        labels.append({"label_id": ids.uuid7(at, entropy=f"l{i:09d}".encode()), "prediction_id": name, "label": true,
                       "labeler": "ana", "labeled_at": at + timedelta(hours=1), "origin": "audit",
                       "saw_prediction": False, "selection_probability": 0.5})
    put_rows(storage, PREDICTION, "predictions", predictions, DAY)
    put_rows(storage, LABEL, "labels", labels, DAY)
    return root


def publish(storage) -> None:
    """Version 1: a network with random weights, live."""
    import torch
    from safetensors.torch import save_file

    from inference.model.network import build

    torch.manual_seed(1)
    registry = Registry(storage, MODEL)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "w.safetensors")
        save_file(build(NETWORK, len(CLASSES)).state_dict(), file)
        card = Card(model=MODEL, version=registry.claim(by="test"), created_at=clock.iso(clock.now()), network=NETWORK,
                    classes=list(CLASSES), preprocess=Preprocess(resize=SIDE, crop=SIDE),
                    weights_sha256=file_sha256(file), weights_bytes=file.stat().st_size)
        registry.write_version(card, file)
    registry.promote("1", by="test", reason="first", expected_live=None)


def picture(name: str, seed: int) -> bytes:
    """A noisy PNG of bars or dots."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    grid = rng.integers(0, 160, (SIDE, SIDE, 3))
    grid[:, ::4] += 90 if name == "bars" else 0
    grid[::4, ::4] += 90 if name == "dots" else 0
    out = io.BytesIO()
    Image.fromarray(grid.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def check_readable(storage) -> None:
    """Nothing half-done is shown: whatever a document names is there, and live is a version that can be loaded."""
    registry = Registry(storage, MODEL)
    for version in {registry.live(), *registry.versions()}:
        registry.weights(version)
    for entry in storage.list("datasets/"):
        if entry.key.endswith("manifest.json"):
            made = manifest.load(storage, entry.key.split("/")[1])
            assert all(storage.exists(file.key) for file in made.files)
