"""A root with a version that tells digits apart and the dataset it was trained on, written without Spark: in seconds."""

import hashlib
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save
from torch.nn.functional import cross_entropy

from contract import layout
from contract.dataset_record import INDEX, ROW, SPLITS
from contract.documents.card import Card, Preprocess
from contract.documents.manifest import DataFile, LeakageCheck, Manifest, Table
from contract.registry import Registry
from contract.storage import open_root
from contract.stores.store import Storage
from tests.training import tiny
from tests.training.loop_root import digits, png

MODEL, DATASET, DAY = "digits", "d1", "2026-11-20"
NETWORK, SIDE, TRAIN = "tests.training.tiny:build", 32, 900  # the digits after those are held out
LOOK = Preprocess(resize=SIDE, crop=SIDE, mean=[0.5] * 3, std=[0.5] * 3)


def make_root(root: str, held_out: int | None = None, **card: object) -> Registry:
    """Publishes version 1 with its dataset; `held_out`: rows of the holdout [default: all that were not trained on]."""
    registry = Registry(open_root(root, create=True), MODEL)
    pixels, labels = digits()
    classes = sorted(set(labels))
    put_dataset(registry.storage, pixels, labels, classes, held_out)
    weights = train(pixels[:TRAIN], [classes.index(label) for label in labels[:TRAIN]], len(classes))
    fields = {"network": NETWORK, "preprocess": LOOK, "dataset": DATASET} | card
    with TemporaryDirectory() as folder:
        file = Path(folder, "weights")
        file.write_bytes(weights)
        digest, number = hashlib.sha256(weights).hexdigest(), registry.claim(by="test")
        registry.write_version(Card(model=MODEL, version=number, created_at="t", classes=classes, weights_sha256=digest,
                                    weights_bytes=len(weights), **fields), file)
    registry.promote("1", by="test", reason="first", expected_live=None)
    return registry


def train(pixels: list[np.ndarray], truth: list[int], classes: int) -> bytes:
    """Weights after some steps over all pictures at once: right for most digits."""
    torch.manual_seed(1)
    network, target = tiny.build(classes).train(), torch.tensor(truth)
    x = torch.from_numpy(np.stack(pixels)).float()[:, None].expand(-1, 3, -1, -1).div(127.5).sub(1)
    optimizer, threads = torch.optim.Adam(network.parameters(), 0.02), torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other take longer on so small a network
    for step in range(120):
        chosen = torch.arange(step * 128, step * 128 + 128) % len(target)
        optimizer.zero_grad()
        cross_entropy(network(x[chosen]), target[chosen]).backward()
        optimizer.step()
    torch.set_num_threads(threads)
    return save(network.state_dict())


def put_dataset(storage: Storage, pixels: list[np.ndarray], labels: list[str], classes: list[str], held_out: int | None) -> None:
    """Writes the files, the index and the manifest."""
    rows = [make_row(png(p), classes.index(label), label) for p, label in zip(pixels, labels, strict=True)]
    splits = {"train": rows[:TRAIN], "validation": [], "holdout": rows[TRAIN:][:held_out]}
    folder, files = layout.dataset_attempt(DATASET, "attempt-1"), []
    for split, of in splits.items():
        if of:
            data, key = write(ROW.arrow(), of), layout.dataset_file(folder, split, 0)
            storage.put(key, data)
            files.append(DataFile(key=key, split=split, rows=len(of), row_groups=1, size=len(data),
                                  sha256=hashlib.sha256(data).hexdigest(), row_digest=""))
    index = [{**{k: v for k, v in row.items() if k != "image"}, "split": split, "file": 0, "bytes": len(row["image"]), "near": 0}
             for split, of in splits.items() for row in of]
    tables = [Table(key=key, sha256=hashlib.sha256(data).hexdigest(), rows=len(index)) for key, data in (
        (layout.dataset_index(folder), write(INDEX.arrow(), index)), (layout.dataset_left_out(folder), b"[]"))
        if storage.put(key, data) is None]
    made = Manifest(dataset=DATASET, attempt="attempt-1", model=MODEL, created_at="t", as_of=f"{DAY}T23:00:00Z",
                    window={"from": DAY, "to": DAY}, classes=classes, rows={s: len(of) for s, of in splits.items()},
                    per_class={s: {} for s in SPLITS}, label_sources={"import": len(index)}, replayed={}, files=files,
                    index=tables[0], left_out={}, listed=tables[1], settings={}, split_by="place", common_metadata={},
                    leakage=LeakageCheck(images_in_two_splits=0, near_bits=2, near_left_out=0))
    storage.put(layout.manifest(DATASET), made.to_bytes())


def make_row(image: bytes, place: int, label: str) -> dict:
    """A row of a dataset."""
    sha256 = hashlib.sha256(image).hexdigest()
    return {"image_sha256": sha256, "image": image, "label": label, "label_index": place, "origin": "import", "votes": 1,
            "agreeing": 1, "day": DAY, "image_uri": layout.image(sha256, "png"), "width": SIDE, "height": SIDE}


def write(schema: pa.Schema, rows: list[dict]) -> bytes:
    """Parquet of the rows."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), out)
    return out.getvalue()
